// Shows what a study does now, and its report anew once that has changed.
"use strict";
const EVERY = 3000; // milliseconds
const [live, progress, reach, renewed] =
  ["live", "progress", "reach", "renewed"].map((id) => document.getElementById(id));
const folds = () => [...document.querySelectorAll("details")];
// What is folded has an id mostly: a table's, that of its numbers.
const nameOf = (fold) => fold.querySelector("[id]")?.id ?? fold.querySelector("summary").textContent;

// What was unfolded stays so; where the page was scrolled to, the browser remembers.
const unfolded = new Set(JSON.parse(sessionStorage.getItem("unfolded") ?? "[]"));
for (const fold of folds()) if (unfolded.has(nameOf(fold))) fold.open = true;

function renew() {
  const open = folds().filter((fold) => fold.open).map(nameOf);
  sessionStorage.setItem("unfolded", JSON.stringify(open));
  location.reload();
}

let shown = "";

function offer() {
  if (renewed.firstChild) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "The report has changed: show it";
  button.addEventListener("click", renew);
  renewed.append(button);
}

async function look() {
  try {
    const state = await (await fetch("live")).json();
    if (shown !== state.progress) progress.innerHTML = shown = state.progress; // escaped there
    reach.textContent = "";
    // Nothing is taken away from under a keyboard or a screen reader.
    if (state.version !== live.dataset.version) document.activeElement === document.body ? renew() : offer();
  } catch {
    reach.textContent = "The server has ended or does not answer: this is how the study stood before.";
  }
  setTimeout(look, EVERY);
}

look();
