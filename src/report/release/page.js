"use strict";
const rows = [...document.querySelectorAll("tbody tr")];
const fields = ["kind", "host", "version"].map((id) => document.getElementById(id));
const search = document.getElementById("search");
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = fields.every((field) => !field.value || row.dataset[field.id] === field.value)
      && words.every((word) => row.dataset.words.includes(word));
    row.hidden = !fits;
    row.style.display = fits ? "" : "none";
    shown += fits ? 1 : 0;
  }
  document.getElementById("count").textContent = shown + " shown";
  document.getElementById("none").hidden = shown > 0;
}
document.getElementById("filter").addEventListener("input", filter);
document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
const here = location.href.replace(/[^/]*$/, "");
for (const button of document.querySelectorAll("[data-copy]")) {
  const command = button.dataset.copy.replace("URL", here);
  button.previousElementSibling.textContent = command;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
