"""Tables of a page as a strict parser reads them."""

import html5lib
import pandas as pd

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def parsed(page):
    """The page's elements; anything that is no valid syntax of HTML is an error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def text_of(element):
    return "".join(element.itertext()).strip()


def tables_of(page):
    """Each table by its id: a frame of texts, or of the exact number where a cell has one."""
    return {
        table.get("id"): pd.DataFrame(
            [
                [cell.get("data-value") or text_of(cell) for cell in row]
                for row in table.findall("./tbody/tr")
            ],
            columns=[text_of(cell) for cell in table.findall("./thead/tr/th")],
        )
        for table in parsed(page).iter("table")
    }
