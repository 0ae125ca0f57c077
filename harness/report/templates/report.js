"use strict";
const specs = JSON.parse(document.getElementById("specs").textContent);
for (const [id, spec] of Object.entries(specs)) {
  vegaEmbed(`#${id}`, spec, { actions: false, renderer: "svg" });
}

// Cells begin with the number that counts, "12.3 [10.1, 14.5]"; what has none sorts last.
function key(cell) {
  const text = cell.textContent.trim();
  const number = parseFloat(text.replaceAll(",", ""));
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
