"use strict";
// Search, filters, folds and links. Without this script everything can still be read and unfolded.
const all = (query, within = document) => [...within.querySelectorAll(query)];
const search = document.getElementById("search");
const failures = document.getElementById("failures");
const shown = document.getElementById("shown");
const sentences = all("li.sentence").map((item) => ({ item, words: item.textContent.toLowerCase() }));
const folds = all(".testbed, .feature, .scenario");
const asWritten = new Map(folds.map((fold) => [fold, fold.open]));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { item, words: has } of sentences) {
    const around = `${item.closest(".scenario").dataset.words} ${item.closest(".feature").dataset.words}`.toLowerCase();
    const wanted = words.every((word) => has.includes(word) || around.includes(word));
    item.hidden = !wanted || (failures.checked && ["holds", "notrun"].includes(item.dataset.status));
    count += item.hidden ? 0 : 1;
  }
  const narrowed = words.length > 0 || failures.checked;
  for (const part of all(".scenario, .feature, .testbed")) {
    const inside = all("li.sentence", part);
    // What has an error of its own stays, though it has no sentence.
    part.hidden = narrowed && inside.every((item) => item.hidden) && !(part.querySelector(".broken") && !words.length);
  }
  for (const fold of folds.filter((one) => one.matches(".feature, .scenario")))
    fold.open = narrowed ? !fold.hidden : asWritten.get(fold);
  shown.textContent = narrowed ? `${count} of ${sentences.length} sentences shown` : `${sentences.length} sentences`;
}

function unfoldTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("[hidden]")) {
    search.value = "";
    failures.checked = false;
    filter();
  }
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
}

search.addEventListener("input", filter);
failures.addEventListener("change", filter);
document.getElementById("unfold").addEventListener("click", () => folds.forEach((fold) => (fold.open = true)));
document.getElementById("fold").addEventListener("click", () =>
  folds.forEach((fold) => (fold.open = fold.matches(".testbed"))));
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    filter();
  }
});
let before = [];
addEventListener("beforeprint", () => {
  // The state of nodes is some hundred pages.
  before = all("details").filter((fold) => !fold.open && !fold.closest(".states"));
  before.forEach((fold) => (fold.open = true));
});
addEventListener("afterprint", () => before.forEach((fold) => (fold.open = false)));
addEventListener("hashchange", unfoldTarget);
document.getElementById("tools").hidden = false;
filter();
unfoldTarget();
