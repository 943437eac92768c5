import pandas as pd
from markupsafe import Markup

from vitrial.report.tables import NOTHING, shown_table
from vitrial.report.template import template

FRAME = pd.DataFrame(
    {
        "arm": ["<b>a</b>", "4 b"],
        "link": pd.Series([Markup("<a href='#x'>x</a>"), "y"], dtype=object),
        "score": [0.123456789, float("nan")],
        "n": [1234, 5],
        "words": ["0.508 ± 0.007", "-"],
        "small": [1e-5, 2e-5],
    }
)


def test_numbers_are_rounded_to_be_read_and_kept_exactly():
    table = shown_table(FRAME, {"small": "{:.1e}"})
    first, second = table.rows
    assert [cell.text for cell in first[2:]] == ["0.123", "1,234", "0.508 ± 0.007", "1.0e-05"]
    assert [cell.value for cell in first[2:]] == ["0.123456789", "1234", "", "1e-05"]
    assert (second[2].text, second[2].value) == (NOTHING, "")
    assert table.figures == [False, False, True, True, True, True]


def test_the_table_escapes_texts_and_names_itself():
    source = '{% from "macros.html.j2" import data_table, figure %}'
    html = template("page.html.j2").environment.from_string(
        source + "{{ data_table(frame, 'Scores', 'scores', fold='Show') }}"
        "{{ figure(svg, 'A drawing', frame, 'drawing') }}"
    )
    page = html.render(frame=FRAME, svg=Markup("<svg></svg>"))
    assert "&lt;b&gt;a" in page
    assert "<a href='#x'>" in page
    assert '<table id="scores" class="sortable">' in page
    assert '<details class="numbers"><summary>Show</summary>' in page
    assert '<figure id="drawing">\n<svg></svg>\n<figcaption><p>A drawing' in page
    assert 'id="drawing-numbers"' in page
    assert 'data-value="0.123456789">0.123' in page
