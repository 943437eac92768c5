import re

from html_tables import parsed, tables_of, text_of
from vitrial.layout import PAGE, REPORT
from vitrial.report.guidelines import ITEMS
from vitrial.report.sections import SECTIONS


def test_every_item_of_both_guidelines_is_there():
    tripod = {int(n) for item in ITEMS for n in re.findall(r"\d+", item.tripod)}
    claim = {int(n) for item in ITEMS for n in re.findall(r"\d+", item.claim)}
    assert tripod == set(range(1, 28))
    assert claim == set(range(1, 45))


def test_sections_that_answer_exist():
    named = {name for item in ITEMS for name in item.sections}
    assert named <= {*SECTIONS.names()}


def test_links_lead_to_sections_of_this_page_and_the_rest_is_open(drawn):
    page = (drawn("one_arm").path / REPORT / PAGE).read_text(encoding="utf-8")
    root = parsed(page)
    (table,) = [one for one in root.iter("table") if one.get("id") == "guidelines"]
    there = {element.get("id") for element in root.iter() if element.get("id")}
    links = {link.get("href") for link in table.iter("a")}
    assert {"#flow", "#trust", "#protocol"} <= links
    assert {link.removeprefix("#") for link in links} <= there
    answers = tables_of(page)["guidelines"].set_index("Item")["Answered"]
    assert answers["Ethical approval"] == "open: yours to say"
    assert "vitrial analyze" in answers["Fairness"]
    assert f"{(answers.str.startswith('open')).sum()} are open" in text_of(root)
