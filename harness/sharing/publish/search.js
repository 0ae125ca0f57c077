"use strict";
// Rows of RECORDS: name, date, kind, task, configurations, outcome, machine.
const MOST = 200;
const FILTERS = [["kind", 2], ["of", 3], ["machine", 6]];
const main = document.getElementById("content");
const form = document.createElement("form");
form.className = "search";
form.setAttribute("role", "search");
function labelled(text, control) {
  const label = document.createElement("label");
  label.append(text, control);
  form.append(label);
  return control;
}
const words = labelled("Search ", document.createElement("input"));
words.type = "search";
const choices = FILTERS.map(([name, column]) => {
  const select = labelled(`${name} `, document.createElement("select"));
  const values = [...new Set(RECORDS.map((row) => row[column]))].filter(Boolean).sort();
  select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
  return { select, column, name };
});
const count = document.createElement("p");
count.setAttribute("role", "status");
count.className = "legend";
const box = document.createElement("div");
box.className = "scroll";
box.tabIndex = 0;
box.setAttribute("role", "region");
box.setAttribute("aria-label", "Records");
const table = box.appendChild(document.createElement("table"));
table.className = "texts";
const heads = table.createTHead().insertRow();
for (const name of ["date", "kind", "of", "configurations", "outcome"]) {
  const head = heads.appendChild(document.createElement("th"));
  head.scope = "col";
  head.textContent = name;
}
const body = table.createTBody();
main.append(form, count, box);

function show() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = RECORDS.filter(
    (row) =>
      choices.every(({ select, column }) => !select.value || row[column] === select.value) &&
      wanted.every((word) => row.some((text) => text.toLowerCase().includes(word))),
  );
  body.replaceChildren(
    ...found.slice(0, MOST).map((row) => {
      const line = document.createElement("tr");
      const head = line.appendChild(document.createElement("th"));
      head.scope = "row";
      const link = head.appendChild(document.createElement("a"));
      link.href = `records/${row[0]}.html`;
      link.textContent = row[1] || row[0];
      for (const text of row.slice(2, 6)) line.insertCell().textContent = text;
      return line;
    }),
  );
  const cut = found.length > MOST ? `, of which the newest ${MOST} are shown` : "";
  count.textContent = `${found.length} of ${RECORDS.length} records${cut}`;
  const state = new URLSearchParams();
  if (words.value) state.set("q", words.value);
  for (const { select, name } of choices) if (select.value) state.set(name, select.value);
  history.replaceState(null, "", state.size ? `?${state}` : location.pathname);
}
const given = new URLSearchParams(location.search);
words.value = given.get("q") ?? "";
for (const { select, name } of choices) select.value = given.get(name) ?? "";
form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
show();
