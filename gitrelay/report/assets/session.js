"use strict";
// A session's page: from turn to turn by key, the outline follows, deep links open.
(() => {
  const turns = () => [...document.querySelectorAll(".turn")];
  let links = new Map();
  function readOutline() {
    links = new Map([...document.querySelectorAll(".outline a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  }

  // the turn that is being read: the last one that begins above the upper third
  function here() {
    const all = turns();
    const line = innerHeight / 3;
    let found = -1;
    all.forEach((turn, i) => { if (turn.getBoundingClientRect().top <= line) found = i; });
    return [all, found];
  }

  function go(turn) {
    if (!turn) return false;
    turn.focus({ preventScroll: true });
    turn.scrollIntoView();
    history.replaceState(null, "", `#${turn.id}`);
    mark();
    return true;
  }

  function step(by) {
    const all = turns();
    const focused = all.indexOf(document.activeElement?.closest?.(".turn"));
    const at = focused >= 0 ? focused : here()[1];
    return go(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  }

  let marked = null;
  function mark() {
    const [all, at] = here();
    const focused = document.activeElement?.classList?.contains("turn") ? document.activeElement : all[at];
    const link = focused ? links.get(focused.id) : null;
    if (link === marked) return;
    marked?.classList.remove("here");
    marked = link ?? null;
    if (!marked) return;
    marked.classList.add("here");
    const box = document.querySelector(".outline");
    const [a, b] = [marked.getBoundingClientRect(), box.getBoundingClientRect()];
    if (a.top < b.top || a.bottom > b.bottom) box.scrollTop += a.top - b.top - box.clientHeight / 2;
  }

  let queued = false;
  addEventListener("scroll", () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; mark(); });
  }, { passive: true });

  function foldAll() {
    const folds = [...document.querySelectorAll("main details")];
    const open = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = open;
  }

  // a link to a file or a line of a diff opens what it is in; most browsers do so themselves
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || target.closest("details:not([open])") === null) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  addEventListener("hashchange", reveal);
  reveal();
  readOutline();
  document.addEventListener("renewed", () => { marked = null; readOutline(); mark(); });
  page.keys.set("j", () => step(1));
  page.keys.set("k", () => step(-1));
  page.keys.set("g", () => go(turns()[0]));
  page.keys.set("G", () => go(turns().at(-1)));
  page.keys.set("e", foldAll);
  const home = document.querySelector(".bar nav a");
  if (home) {
    page.keys.set("u", () => { location.href = home.href; });
    page.keys.set("/", () => { location.href = `${home.href}#search`; });
  } else {
    page.keys.set("/", () => false);
  }
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.classList?.contains("turn")) target.focus({ preventScroll: true });
  mark();
})();
