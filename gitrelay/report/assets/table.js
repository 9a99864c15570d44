"use strict";
// The table of the index: how sessions are sorted and grouped, and how one is drawn. It knows no search.
const table = (() => {
  const STRIP = 24; // turns of a session that are drawn
  const HITS = 8; // found turns of a session that are listed
  const COLUMNS = 5;
  const SORTS = { last: (s) => s.last, cost: (s) => s.cost, seconds: (s) => s.seconds };
  const box = document.getElementById("sessions");
  const buttons = [...box.querySelectorAll("[data-sort]")];

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // a line in which what is between backticks is code
  function said(className, text) {
    const made = element("bdi", className);
    made.append(...text.split(/`([^`]+)`/).map((piece, i) => (i % 2 ? element("code", "", piece) : piece)));
    return made;
  }

  function state(row) {
    if (row.status === "pending") return ["warn", "…", "pending"];
    if (row.status === "error") return ["bad", "!", `error:${row.reason || "peer-error"}`];
    if (row.failed) return ["bad", "✗", row.verify === "pass" ? "check-failed, claimed pass" : "check-failed"];
    if (row.verify === "fail") return ["bad", "✗", "fail"];
    if (row.checked) return ["good", "✓", "pass (checked)"];
    if (row.verify === "pass") return ["claim", "○", "pass"];
    return ["calm", "–", "unverified"];
  }

  // `words` is a column and, if the smallest comes first, " up"
  function sorted(found, words, group) {
    const [name, up] = words.split(" ");
    const value = SORTS[name];
    const sign = up ? 1 : -1;
    const bySort = (a, b) => {
      const [x, y] = [value(a.session), value(b.session)];
      if (x === null || y === null) return (x === null) - (y === null); // what is not known comes last
      return sign * (x - y) || b.session.last - a.session.last;
    };
    const key = groupOf(group);
    const order = group === "day" ? (x, y) => (x === y ? 0 : (x < y) === Boolean(name === "last" && up) ? -1 : 1)
      : (x, y) => (x === y ? 0 : x < y ? -1 : 1);
    const keyed = found.map((one) => [key(one.session), one]); // once for each: a day costs more than a comparison
    return keyed.sort(([x, a], [y, b]) => order(x, y) || bySort(a, b)).map(([, one]) => one);
  }

  function groupOf(group) {
    if (group === "day") return (s) => (s.last ? page.localTime(s.last).slice(0, 10) : "");
    if (group === "peer") return (s) => s.peers;
    return () => "";
  }

  // how the sorting stands, for people and for screen readers
  function mark(words) {
    const [name, up] = words.split(" ");
    for (const button of buttons) {
      const cell = button.closest("th");
      if (button.dataset.sort === name) cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  const money = (usd) => (usd === null ? "" : usd >= 0.005 || usd === 0 ? `$${usd.toFixed(2)}` : "<$0.01");
  function span(seconds) {
    if (seconds === null) return "";
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  const link = (session, row) => `sessions/${encodeURIComponent(session.name)}.html${row ? `#t-${encodeURIComponent(row.id)}` : ""}`;
  const short = (id) => (id.match(/^\d{8}-\d{4}-/) ? "01" : id);

  // roles are named because a small screen lays the table out as blocks, which takes them away
  function cell(tag, className, role, label) {
    const made = element(tag, className);
    made.setAttribute("role", role);
    if (label) made.dataset.label = label;
    return made;
  }

  function group(key, members, grouped) {
    const body = element("tbody");
    body.setAttribute("role", "rowgroup");
    if (!grouped) return body;
    const row = cell("tr", "group", "row");
    const head = cell("th", "", "rowheader");
    head.colSpan = COLUMNS;
    head.scope = "rowgroup";
    const cost = members.reduce((sum, { session }) => sum + (session.cost ?? 0), 0);
    const about = [page.count(members.length, "session"), cost ? money(cost) : ""].filter(Boolean).join(" · ");
    head.append(element("bdi", "", key || (grouped === "day" ? "no turn yet" : "no peer yet")), " ", element("span", "aside", about));
    row.append(head);
    body.append(row);
    return body;
  }

  function line(session, hits, needs) {
    const row = cell("tr", "session", "row");
    const what = cell("th", "what", "rowheader");
    what.scope = "row";
    const name = element("a", "name", session.name);
    name.href = link(session, null);
    what.append(name);
    const last = session.rows.at(-1);
    if (last) {
      const who = element("span", "who");
      who.append(element("bdi", "", last.from), " → ", element("bdi", "", last.to));
      what.append(who);
    }
    if (session.archived) what.append(element("span", "who", "archived"));
    if (session.fault) what.append(element("div", "line note bad", `cannot be read: ${session.fault}`));
    if (!hits && last) what.append(said("line", session.rows[0].line));
    if (needs) {
      const at = element("a", "badge needs bad", needs);
      at.href = link(session, last);
      const held = element("div");
      held.append(at);
      what.append(held);
    }
    if (hits) what.append(found(session, hits));
    row.append(what, strip(session, hits), cell("td", "when", "cell", "last activity"), cell("td", "amount", "cell", "time"),
      cell("td", "amount", "cell", "cost"));
    row.cells[2].textContent = session.last ? page.localTime(session.last) : "";
    row.cells[3].textContent = span(session.seconds);
    row.cells[4].textContent = money(session.cost);
    return row;
  }

  function strip(session, hits) {
    const held = cell("td", "turns", "cell");
    const made = element("div", "strip");
    const drawn = session.rows.slice(-STRIP);
    if (drawn.length < session.rows.length) made.append(element("span", "more", `${session.rows.length - drawn.length} before`));
    const kept = hits ? new Set(hits) : null;
    for (const turn of drawn) {
      const [tone, sign, says] = state(turn);
      const dot = element("a", `${tone}${kept && !kept.has(turn) ? " dim" : ""}`, sign);
      dot.href = link(session, turn);
      dot.title = `${short(turn.id)} ${turn.from} → ${turn.to}: ${says}`;
      dot.setAttribute("aria-label", dot.title);
      dot.tabIndex = -1;
      made.append(dot);
    }
    held.append(made);
    return held;
  }

  function found(session, hits) {
    const lines = element("ul", "hits");
    for (const hit of hits.slice(0, HITS)) {
      const [tone, sign, says] = state(hit);
      const a = element("a");
      a.href = link(session, hit);
      const dot = element("span", `dot ${tone}`, sign);
      dot.title = says;
      a.append(dot, element("span", "tid", short(hit.id)), said("text", hit.line || "(no words)"));
      const li = element("li");
      li.append(a);
      lines.append(li);
    }
    if (hits.length > HITS) lines.append(element("li", "note", `and ${page.count(hits.length - HITS, "more turn")}`));
    return lines;
  }

  function empty(text) {
    const body = group("", [], "");
    const row = cell("tr", "", "row");
    const held = cell("td", "empty", "cell");
    held.colSpan = COLUMNS;
    held.textContent = text;
    row.append(held);
    body.append(row);
    return body;
  }

  function clear() {
    for (const body of [...box.tBodies]) body.remove();
  }

  // a click on the column that is sorted by turns it around
  function onSort(turn) {
    for (const button of buttons) button.addEventListener("click", () => turn(button.dataset.sort));
  }

  return { box, SORTS, sorted, groupOf, group, line, empty, clear, mark, onSort, state };
})();
