"use strict";
// What every page can do: theme, help, times in the reader's own zone, what can be copied, keys, printing.
const page = (() => {
  const root = document.documentElement;
  const help = document.getElementById("help");

  function toggleTheme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("gitrelay-theme", root.dataset.theme); } catch { /* chosen for this page only */ }
  }

  function toggleHelp() {
    if (help.open) help.close(); else help.showModal();
  }

  const two = (n) => String(n).padStart(2, "0");
  function localTime(seconds) {
    const d = new Date(seconds * 1000);
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
  }

  const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

  // A table of many columns is laid out row by row on a phone: then each cell needs the name of its column.
  const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
  function name(table) {
    const heads = [...table.rows[0].cells].map((cell) => cell.textContent);
    if (heads.length < 5) return;
    table.classList.add("stack");
    for (const row of [...table.rows].slice(1)) {
      [...row.cells].forEach((cell, at) => { if (at) cell.dataset.head = heads[at] ?? ""; });
    }
    for (const part of [table, ...table.querySelectorAll("*")]) {
      const role = part.tagName === "TH" ? (part.closest("thead") ? "columnheader" : "rowheader") : ROLES[part.tagName];
      if (role) part.setAttribute("role", role);
    }
  }

  // Everything below `part` that is written for a reader without scripts gets what scripts can add.
  function dress(part) {
    for (const time of part.querySelectorAll("time[data-at]")) {
      time.title = time.textContent;
      time.textContent = localTime(Number(time.dataset.at));
    }
    for (const table of part.querySelectorAll(".prose table, .figuretable")) name(table);
    copying.dress(part);
  }

  const keys = new Map([["t", toggleTheme], ["?", toggleHelp]]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (typing && event.key !== "Escape") return;
    if (help.open && event.key !== "?") return;
    const act = keys.get(event.key);
    if (act && act(event) !== false) event.preventDefault();
  });

  for (const button of document.querySelectorAll("[data-do]")) {
    button.hidden = false;
    button.addEventListener("click", button.dataset.do === "theme" ? toggleTheme : toggleHelp);
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .fold)")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

  dress(document);
  return { keys, dress, localTime, count };
})();
