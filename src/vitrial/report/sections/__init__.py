"""The report's sections, one file each; the page shows them in the order of their `ORDER`.

Each file has `TITLE`, its heading; `SUMMARY`, one sentence that says what it shows; `ORDER`, its
place on the page; and `render(snapshot) -> str`, its HTML, which is empty where it does not apply.
Texts are escaped by `vitrial.report.template.template`, and by nothing else.
"""

from vitrial.registry import Registry

SECTIONS = Registry("vitrial.report.sections", ("TITLE", "SUMMARY", "ORDER", "render"))
