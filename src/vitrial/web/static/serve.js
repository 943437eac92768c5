// Sends the image that a person chooses or drops, and shows what the server answers.
"use strict";
const [form, drop, input, status, error, answer] =
  ["ask", "drop", "file", "status", "error", "answer"].map((id) => document.getElementById(id));
const most = Number(form.dataset.mostBytes);

function say(now, wrong = "") {
  status.textContent = now;
  error.textContent = wrong;
}

async function ask(file) {
  answer.replaceChildren();
  if (file.size > most) return say("", `${file.name} is larger than ${most / 2 ** 20} MiB.`);
  say(`The arms look at ${file.name} …`);
  input.disabled = true;
  try {
    const response = await fetch("answer", { method: "POST", body: file });
    const text = await response.text();
    if (!response.ok) return say("", `${file.name}: ${text}`);
    answer.innerHTML = text; // of this server, which escapes what is not its own
    say(`${file.name} is answered.`);
    document.getElementById("answered").focus();
  } catch {
    say("", "The server does not answer: is vitrial serve still running?");
  } finally {
    input.disabled = false;
    input.value = ""; // so that the same file can be chosen again
  }
}

input.addEventListener("change", () => input.files.length && ask(input.files[0]));
form.addEventListener("submit", (event) => event.preventDefault());
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // or the browser leaves the page and opens the file
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  const file = event.dataTransfer.files[0];
  if (file && !input.disabled) ask(file);
});
