"use strict";
const specs = JSON.parse(document.getElementById("specs").textContent);
const options = { actions: false, renderer: "svg" };
// Panels share the width: on a phone two of them stand side by side.
const LABELS = 62, NARROWEST = 130;
function embed(id, spec) {
  const element = document.getElementById(id);
  if (spec.facet) {
    const room = element.clientWidth - LABELS;
    const columns = Math.max(1, Math.min(spec.columns, Math.floor(room / NARROWEST)));
    const width = Math.floor(room / columns) - spec.spacing;
    spec = { ...spec, columns, spec: { ...spec.spec, width } };
  }
  vegaEmbed(element, spec, options);
}
for (const [id, spec] of Object.entries(specs)) embed(id, spec);
const panels = Object.entries(specs).filter(([, spec]) => spec.facet);
let shownWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === shownWidth) return;
  shownWidth = innerWidth;
  panels.forEach(([id, spec]) => embed(id, spec));
});

// A cell states its value or starts with it, as "12.3 [10.1, 14.5]" and "−4.2 %" do; others sort last.
function key(cell) {
  const text = cell.textContent.trim();
  const number = parseFloat(cell.dataset.value ?? text.replaceAll(",", "").replace("−", "-"));
  return { text, number: Number.isNaN(number) ? Infinity : number };
}
function sort(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, ...key(row.cells[column]) }));
  rows.sort((a, b) => {
    const both = a.number === b.number ? a.text.localeCompare(b.text) : a.number - b.number;
    return direction * both;
  });
  body.append(...rows.map(({ row }) => row));
}
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending ? 1 : -1);
    });
  });
}

// The contents mark the last section whose top has reached the top of the window.
const REACHED = 100;
const links = [...document.querySelectorAll("nav a")];
const targets = links.map((link) => document.getElementById(link.hash.slice(1)));
function markCurrent() {
  const passed = targets.filter((target) => target.getBoundingClientRect().top < REACHED);
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  const current = atEnd ? targets.at(-1) : (passed.at(-1) ?? targets[0]);
  links.forEach((link, place) => {
    if (targets[place] === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
}
if (links.length) {
  addEventListener("scroll", markCurrent, { passive: true });
  markCurrent();
}

// A link to something folded opens it; paper shows everything.
function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  target?.closest("details")?.setAttribute("open", "");
}
addEventListener("hashchange", unfold);
unfold();
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
