"use strict";
// "/" moves to the search.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  document.querySelector("header.site input").focus();
});

// Zoom of a series: its last gates.
for (const bar of document.querySelectorAll(".zoom")) {
  const id = bar.dataset.chart, spec = specs[id];
  document.getElementById(id)?.before(bar);
  for (const button of bar.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      bar.querySelectorAll("button").forEach((other) =>
        other.setAttribute("aria-pressed", String(other === button)));
      const rows = spec.data.values.slice(-Number(button.value));
      const names = new Set(rows.map((row) => row.name));
      const kept = (values) => values.filter((row) => row.name === undefined || names.has(row.name));
      const layer = spec.layer.map((each) => {
        const encoding = { ...each.encoding };
        if (encoding.x?.sort) encoding.x = { ...encoding.x, sort: [...names] };
        const own = each.data ? { data: { values: kept(each.data.values) } } : {};
        return { ...each, ...own, encoding };
      });
      embed(id, { ...spec, data: { values: rows }, layer });
    });
  }
}

// The list of records: scripts with up to 1,000 rows each are added one after the other.
const list = document.getElementById("records");
const found = [];
let show = () => {};
window.publishRows = (rows) => { found.push(...rows); show(); };
if (list) {
  const MOST = 200;
  const asked = new URLSearchParams(location.search);
  const body = list.tBodies[0], count = document.getElementById("count");
  const inputs = [...document.querySelectorAll(".filters [name]")];
  const top = list.dataset.top;
  for (const input of inputs) {
    const given = asked.get(input.name);
    if (given && input.tagName === "SELECT" && ![...input.options].some((each) => each.value === given))
      input.add(new Option(given, given));
    if (given) input.value = given;
    input.addEventListener("input", () => show());
  }
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  show = () => {
    const [q, ...exact] = inputs.map((input) => input.value);
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const columns = [1, 3, 7];  // kind, task, machine: the order of the filters
    const rows = found.filter((row) => exact.every((value, at) => !value || row[columns[at]] === value) &&
      words.every((word) => row.join(" ").toLowerCase().includes(word)));
    count.textContent = `${rows.length.toLocaleString("en")} of ${found.length.toLocaleString("en")} records` +
      (rows.length > MOST ? `, the newest ${MOST} shown` : "");
    body.replaceChildren(...rows.slice(0, MOST).map((row) => {
      const [page, , date, task, configurations, outcome, status] = row;
      const line = document.createElement("tr"), first = document.createElement("th");
      const link = document.createElement("a");
      link.href = top + page;
      link.textContent = page.replace(/^.*\/|\.html$/g, "");
      first.scope = "row";
      first.append(link);
      line.append(first, ...[date, task, configurations, outcome, status].map((text) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        return cell;
      }));
      return line;
    }));
  };
  const load = (number) => {
    if (number >= Number(list.dataset.parts)) return;
    const script = document.createElement("script");
    script.src = `${top}records/${number}.js`;
    script.onload = () => load(number + 1);
    document.head.append(script);
  };
  load(0);
}
