"use strict";
// The index: search and filters over all exchanges; only a window of what is found is in the page.
const index = (() => {
  const STATUSES = ["done", "error", "pending"];
  const VERDICTS = ["pass", "fail", "skip", ""];
  const WINDOW = 60; // sessions that are put into the page at a time
  const STRIP = 24; // turns of a session that are drawn
  const HITS = 8; // found turns of a session that are listed
  const DEBOUNCE = 120; // ms
  const field = (id) => document.getElementById(id);
  const list = field("sessions");
  const fields = ["q", "peer", "status", "verify", "since", "until"];

  let agents = [];
  let sessions = []; // {name, archived, fault, rows, last, haystack}
  let count = 0;
  let words = null; // parsed at the first search
  let wordsText = "";

  function load(rowsText, newWordsText) {
    const data = JSON.parse(rowsText);
    agents = data.agents;
    count = 0;
    sessions = data.sessions.map(([name, archived, fault, rows]) => ({
      name, archived: Boolean(archived), fault,
      rows: rows.map(([id, from, to, status, verify, reason, asked, checks, line]) => ({
        n: count++, id, from: agents[from], to: agents[to], status: STATUSES[status], verify: VERDICTS[verify], reason,
        asked, failed: checks === 1, checked: checks === 2, line,
      })),
    }));
    words = null;
    wordsText = newWordsText;
    const select = field("peer");
    const chosen = select.value;
    select.replaceChildren(select.options[0], ...[...agents].sort().map((name) => new Option(name, name)));
    select.value = agents.includes(chosen) ? chosen : "";
  }

  function openWords() {
    if (words) return;
    const data = JSON.parse(wordsText);
    words = { list: data.words ? data.words.split(" ") : [], hits: data.hits ? data.hits.split(" ") : [] };
  }

  // the numbers of the exchanges with a word that holds `part`
  function holders(part) {
    const found = new Uint8Array(count);
    words.list.forEach((word, i) => {
      if (!word.includes(part)) return;
      if (words.hits[i] === "*") { found.fill(1); return; }
      let at = 0;
      for (const step of words.hits[i].split(".")) { at += parseInt(step, 36); found[at] = 1; }
    });
    return found;
  }

  function wanted() {
    const q = field("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (q.length) openWords();
    const terms = q.map((text) => ({ text, holders: holders(text.replace(/^[^\p{L}\p{N}_]+|[^\p{L}\p{N}_]+$/gu, "") || text) }));
    const [peer, status, verify] = ["peer", "status", "verify"].map((id) => field(id).value);
    const day = (id, end) => {
      const value = field(id).value;
      return value ? new Date(`${value}T${end ? "23:59:59" : "00:00:00"}`).getTime() / 1000 : null;
    };
    const [since, until] = [day("since", false), day("until", true)];
    const narrow = terms.length || peer || status || verify || since !== null || until !== null;
    const match = (session, row) =>
      (!peer || row.from === peer || row.to === peer)
      && (!status || (status === "attention" ? row === session.rows.at(-1) && attention(session, row) : row.status === status))
      && (!verify || (verify === "check" ? row.failed : verify === "refuted" ? row.failed && row.verify === "pass" : row.verify === verify))
      && (since === null || row.asked >= since)
      && (until === null || row.asked <= until)
      && terms.every(({ text, holders: has }) => has[row.n]
        || `${session.name}/${row.id} ${row.from} ${row.to} ${row.reason} ${row.line}`.toLowerCase().includes(text));
    return { narrow: Boolean(narrow), match };
  }

  let found = []; // {session, hits: Set of rows or null for all}
  let shown = 0;
  let at = -1;

  function look() {
    const { narrow, match } = wanted();
    found = [];
    let exchanges = 0;
    for (const session of sessions) {
      if (!narrow) { found.push({ session, hits: null }); continue; }
      const hits = session.rows.filter((row) => match(session, row));
      if (hits.length) { found.push({ session, hits }); exchanges += hits.length; }
    }
    field("found").textContent = narrow
      ? `${exchanges.toLocaleString("en")} of ${page.count(count, "exchange")}, in ${page.count(found.length, "session")}`
      : "";
    field("clear").hidden = !narrow;
    list.replaceChildren();
    shown = 0;
    at = -1;
    more();
    if (!found.length) list.append(element("li", "empty", sessions.length ? "Nothing fits." : "There are no sessions yet."));
  }

  function more() {
    const next = found.slice(shown, shown + WINDOW);
    list.append(...next.map(({ session, hits }) => line(session, hits)));
    shown += next.length;
    field("more").hidden = shown >= found.length;
  }

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

  // the last turn of a session that is not put away: it failed, asks something, or waits for an answer
  function attention(session, row) {
    return !session.archived && ["bad", "warn"].includes(state(row)[0]);
  }

  const link = (session, row) => `sessions/${encodeURIComponent(session.name)}.html${row ? `#t-${encodeURIComponent(row.id)}` : ""}`;
  const short = (id) => id.match(/^\d{8}-\d{4}-/) ? "01" : id;

  function line(session, hits) {
    const item = element("li");
    const row = element("div", "row");
    const head = element("div");
    const name = element("a", "name", session.name);
    name.href = link(session, null);
    head.append(name);
    const last = session.rows.at(-1);
    if (last) {
      const who = element("span", "who");
      who.append(element("bdi", "", last.from), " → ", element("bdi", "", last.to));
      head.append(who);
    }
    const when = element("span", "when", [page.count(session.rows.length, "turn"),
      session.archived ? "archived" : "", last ? page.localTime(last.asked) : ""].filter(Boolean).join(" · "));
    row.append(head, when);
    if (session.fault) row.append(element("div", "line note bad", `cannot be read: ${session.fault}`));
    if (!hits && last) row.append(said("line", session.rows[0].line));
    const strip = element("div", "strip");
    const drawn = session.rows.slice(-STRIP);
    if (drawn.length < session.rows.length) strip.append(element("span", "more", `${session.rows.length - drawn.length} before`));
    const kept = hits ? new Set(hits) : null;
    for (const turn of drawn) {
      const [tone, sign, says] = state(turn);
      const dot = element("a", `${tone}${kept && !kept.has(turn) ? " dim" : ""}`, sign);
      dot.href = link(session, turn);
      dot.title = `${short(turn.id)} ${turn.from} → ${turn.to}: ${says}`;
      dot.tabIndex = -1;
      strip.append(dot);
    }
    if (drawn.length) row.append(strip);
    item.append(row);
    if (hits) {
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
      item.append(lines);
    }
    return item;
  }

  function step(by) {
    if (!found.length) return false;
    const items = list.children;
    items[at]?.classList.remove("at");
    at = Math.min(found.length - 1, Math.max(0, at + by));
    while (at >= shown) more();
    items[at].classList.add("at");
    items[at].querySelector("a.name").focus({ preventScroll: true });
    items[at].scrollIntoView({ block: "nearest" });
    return true;
  }

  // the query is in the address, so that it can be sent to somebody and survives a reload
  function remember() {
    const asked = new URLSearchParams(fields.map((id) => [id, field(id).value]).filter(([, value]) => value));
    try { history.replaceState(null, "", `#${asked}`); } catch { /* some browsers forbid it from file:// */ }
  }

  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const id of fields) field(id).value = asked.get(id) ?? "";
    if (asked.has("search")) field("q").focus();
  }

  let timer = 0;
  function changed() {
    clearTimeout(timer);
    timer = setTimeout(() => { remember(); look(); }, DEBOUNCE);
  }

  for (const id of fields) field(id).addEventListener("input", changed);
  field("clear").addEventListener("click", () => {
    for (const id of fields) field(id).value = "";
    remember();
    look();
    field("q").focus();
  });
  field("more").addEventListener("click", more);
  const near = new IntersectionObserver((entries) => {
    if (!entries.some((e) => e.isIntersecting) || shown >= found.length) return;
    more();
    near.unobserve(field("more")); // reported again, also if it is still near
    near.observe(field("more"));
  }, { rootMargin: "600px" });
  near.observe(field("more"));
  document.querySelector(".filters").addEventListener("submit", (event) => { event.preventDefault(); step(1); });
  page.keys.set("/", () => { field("q").focus(); field("q").select(); });
  page.keys.set("j", () => step(1));
  page.keys.set("k", () => step(-1));
  page.keys.set("Escape", () => {
    if (document.activeElement === field("q") && !field("q").value) { field("q").blur(); return; }
    field("q").value = "";
    remember();
    look();
  });
  addEventListener("hashchange", () => { recall(); look(); });

  load(field("rows").textContent, field("words").textContent);
  document.querySelector(".filters").hidden = false;
  recall();
  look();

  // new rows in the place of the old ones: the search stays, and so does what is read
  return {
    renew(rowsText, newWordsText, totals) {
      const keep = scrollY;
      const window_ = shown;
      load(rowsText, newWordsText);
      field("totals").textContent = totals;
      look();
      while (shown < Math.min(window_, found.length)) more();
      scrollTo(0, keep);
    },
  };
})();
