// Pictures that open larger: a click or the keyboard opens them, Escape or a click closes them.
"use strict";
for (const sheet of document.querySelectorAll("img.sheet")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "zoom";
  button.setAttribute("aria-label", sheet.alt + ", larger");
  sheet.replaceWith(button);
  button.append(sheet);
}
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    const dialog = document.createElement("dialog"), close = document.createElement("button");
    dialog.className = "zoomed";
    dialog.setAttribute("aria-label", button.getAttribute("aria-label"));
    close.type = "button";
    close.textContent = "Close";
    dialog.append(close, button.firstElementChild.cloneNode());
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}
