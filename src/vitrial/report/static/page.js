// Tables that sort by their headings and download as CSV; without this script all of it is read as it is.
"use strict";
(() => {
  const number = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.replaceAll(",", "").replace("−", "-");
    const found = text.match(/[+-]?\d+(\.\d+)?(e[+-]?\d+)?/i);
    return found ? Number(found[0]) : NaN;
  };

  function sort(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    const figures = heading.classList.contains("number"), body = table.tBodies[0];
    const key = (row) => (figures ? number(row.cells[column]) : row.cells[column].textContent.trim());
    const missing = (value) => Number.isNaN(value) || value === "";
    const order = [...body.rows].map((row) => [key(row), row]).sort(([a], [b]) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b); // last, whichever way
      const less = figures ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return down ? -less : less;
    });
    body.append(...order.map(([, row]) => row));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function csv(table) {
    const field = (cell) => {
      let text = cell.dataset.value ?? cell.textContent.trim();
      if (cell.dataset.value === undefined && /^[=+@\t\r]/.test(text)) text = "'" + text; // no formula
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [...table.rows].map((row) => [...row.cells].map(field).join(",")).join("\r\n") + "\r\n";
  }

  function download(table) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv" }));
    link.download = table.id + ".csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, column, heading));
    }
    const save = document.createElement("button");
    save.type = "button";
    save.className = "csv";
    save.textContent = "Download as CSV";
    save.setAttribute("aria-label", "Download as CSV: " + (table.caption?.textContent.trim() ?? table.id));
    save.addEventListener("click", () => download(table));
    table.parentNode.after(save);
  }
})();
