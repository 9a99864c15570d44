"use strict";
// The index: search and filters over all exchanges; only a window of what is found is in the page.
const index = (() => {
  const STATUSES = ["done", "error", "pending"];
  const VERDICTS = ["pass", "fail", "skip", ""];
  const WINDOW = 60; // sessions that are put into the page at a time
  const DEBOUNCE = 120; // ms
  const field = (id) => document.getElementById(id);
  const fields = ["q", "peer", "status", "verify", "since", "until", "group"];
  const narrowing = fields.filter((id) => id !== "group");

  let agents = [];
  let sessions = []; // {name, archived, fault, rows, needs, last, cost, seconds, peers}
  let running = new Set(); // addresses of the calls that run on this machine
  let sort = "last"; // a column and, if the smallest comes first, " up"
  let count = 0;
  let words = null; // parsed at the first search
  let wordsText = "";

  function load(rowsText, newWordsText) {
    const data = JSON.parse(rowsText);
    agents = data.agents;
    count = 0;
    running = new Set(data.running);
    sessions = data.sessions.map(([name, archived, fault, rows, needs, last, cost, seconds]) => ({
      name, archived: Boolean(archived), fault, needs, last, cost, seconds,
      peers: [...new Set(rows.map((row) => agents[row[2]]))].join(", "),
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
    const urgent = field("attention").getAttribute("aria-pressed") === "true";
    const narrow = terms.length || peer || status || verify || since !== null || until !== null;
    const match = (session, row) =>
      (!peer || row.from === peer || row.to === peer)
      && (!status || row.status === status)
      && (!verify || (verify === "check" ? row.failed : verify === "refuted" ? row.failed && row.verify === "pass" : row.verify === verify))
      && (since === null || row.asked >= since)
      && (until === null || row.asked <= until)
      && terms.every(({ text, holders: has }) => has[row.n]
        || `${session.name}/${row.id} ${row.from} ${row.to} ${row.reason} ${row.line}`.toLowerCase().includes(text));
    return { narrow: Boolean(narrow), urgent, match };
  }

  // why a session needs a person, "" if it does not; a request is only dead if nothing works on it
  function needs(session) {
    const last = session.rows.at(-1);
    const dead = last?.status === "pending" && running.has(`${session.name}/${last.id}`);
    return dead ? "" : session.needs;
  }

  let found = []; // {session, hits: Set of rows or null for all}
  let shown = 0;
  let at = -1;

  function look() {
    const { narrow, urgent, match } = wanted();
    found = [];
    let exchanges = 0;
    let waiting = 0;
    for (const session of sessions) {
      const why = needs(session);
      if (why) waiting += 1;
      if (urgent && !why) continue;
      if (!narrow) { found.push({ session, hits: null }); continue; }
      const hits = session.rows.filter((row) => match(session, row));
      if (hits.length) { found.push({ session, hits }); exchanges += hits.length; }
    }
    found = table.sorted(found, sort, field("group").value);
    field("waiting").textContent = waiting.toLocaleString("en");
    field("found").textContent = narrow
      ? `${exchanges.toLocaleString("en")} of ${page.count(count, "exchange")}, in ${page.count(found.length, "session")}`
      : urgent ? `${page.count(found.length, "session")} of ${sessions.length.toLocaleString("en")}` : "";
    field("clear").hidden = !narrow && !urgent;
    table.clear();
    table.mark(sort);
    shown = 0;
    at = -1;
    more();
    if (!found.length) {
      table.box.append(table.empty(!sessions.length ? "There are no sessions yet." : urgent && !narrow ? "Nothing needs attention." : "Nothing fits."));
    }
  }

  function more() {
    const grouped = field("group").value;
    const key = table.groupOf(grouped);
    for (const { session, hits } of found.slice(shown, shown + WINDOW)) {
      if (!shown || key(session) !== key(found[shown - 1].session)) {
        const members = grouped ? found.filter((one) => key(one.session) === key(session)) : [];
        table.box.append(table.group(key(session), members, grouped));
      }
      table.box.tBodies[table.box.tBodies.length - 1].append(table.line(session, hits, needs(session)));
      shown += 1;
    }
    field("more").hidden = shown >= found.length;
  }

  function step(by) {
    if (!found.length) return false;
    const items = table.box.getElementsByClassName("session");
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
    if (sort !== "last") asked.set("sort", sort.replace(" ", "-"));
    if (field("attention").getAttribute("aria-pressed") === "true") asked.set("attention", "1");
    try { history.replaceState(null, "", `#${asked}`); } catch { /* some browsers forbid it from file:// */ }
  }

  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const id of fields) field(id).value = asked.get(id) ?? "";
    const [name, up] = (asked.get("sort") ?? "").split("-");
    sort = Object.hasOwn(table.SORTS, name) ? name + (up === "up" ? " up" : "") : "last";
    field("attention").setAttribute("aria-pressed", String(asked.has("attention")));
    if (asked.has("search")) field("q").focus();
  }

  let timer = 0;
  function changed() {
    clearTimeout(timer);
    timer = setTimeout(() => { remember(); look(); }, DEBOUNCE);
  }

  function now() {
    remember();
    look();
  }

  function turnAttention() {
    const button = field("attention");
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    now();
  }

  for (const id of fields) field(id).addEventListener("input", changed);
  field("attention").addEventListener("click", turnAttention);
  table.onSort((name) => {
    sort = sort === name ? `${name} up` : name;
    now();
  });
  field("clear").addEventListener("click", () => {
    for (const id of narrowing) field(id).value = "";
    field("attention").setAttribute("aria-pressed", "false");
    now();
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
  page.keys.set("a", turnAttention);
  page.keys.set("Escape", () => {
    if (document.activeElement === field("q") && !field("q").value) { field("q").blur(); return; }
    field("q").value = "";
    now();
  });
  addEventListener("hashchange", () => { recall(); look(); });

  load(field("rows").textContent, field("words").textContent);
  for (const part of [document.querySelector(".filters"), table.box]) part.hidden = false;
  recall();
  look();

  // what is read stays where it is, and so does the row with the focus
  function keeping(redraw) {
    const [keep, window_] = [scrollY, shown];
    const focused = document.activeElement?.closest?.("tr.session a.name")?.textContent;
    redraw();
    while (shown < Math.min(window_, found.length)) more();
    if (focused !== undefined) {
      at = found.findIndex(({ session }) => session.name === focused);
      if (at >= 0 && at < shown) step(0);
    }
    scrollTo(0, keep);
  }

  // new rows in the place of the old ones: search and sorting stay
  return {
    runs(addresses) {
      if (addresses.length === running.size && addresses.every((one) => running.has(one))) return;
      running = new Set(addresses);
      keeping(look);
    },
    renew(rowsText, newWordsText, totals) {
      load(rowsText, newWordsText);
      field("totals").textContent = totals;
      keeping(look);
    },
  };
})();
