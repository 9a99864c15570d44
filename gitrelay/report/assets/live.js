"use strict";
// `git relay web`: while somebody looks, one question is open that is answered when anything is recorded; what is new is
// brought into this page.
(() => {
  const AGAIN = 400; // ms until the next question if there was no answer
  const NOTES = ".conversation > .note, .turns > .note"; // that it cannot be read, that nothing was asked yet
  const sign = document.querySelector(".live");
  const state = new URL(`${document.body.dataset.root}state.json`, location.href);
  let version = document.body.dataset.version; // what this page was made of
  let told = false; // whether anything was answered yet: the first question does not wait
  let leaving = null; // ends the open question when nobody looks any more, as a browser opens few connections
  let gone = false; // the session of this page is no longer there

  function parse(text) {
    return new DOMParser().parseFromString(text, "text/html"); // its scripts do not run
  }

  async function renew() {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    gone = answer.status === 404;
    if (gone) return;
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = parse(await answer.text());
    if (fresh.getElementById("rows")) {
      index.renew(fresh.getElementById("rows").textContent, fresh.getElementById("words").textContent,
        fresh.getElementById("totals").textContent);
      document.getElementById("questions").replaceWith(document.importNode(fresh.getElementById("questions"), true));
      return;
    }
    if (document.querySelector("main.figures")) {
      document.querySelector("main").replaceWith(document.importNode(fresh.querySelector("main"), true));
      page.dress(document.querySelector("main"));
      return;
    }
    for (const turn of fresh.querySelectorAll(".turn")) {
      const old = document.getElementById(turn.id);
      if (old?.dataset.version === turn.dataset.version) continue;
      const made = document.importNode(turn, true);
      page.dress(made);
      if (old) old.replaceWith(made); else document.querySelector(".turns").append(made);
    }
    for (const turn of document.querySelectorAll(".turn")) if (!fresh.getElementById(turn.id)) turn.remove();
    for (const note of document.querySelectorAll(NOTES)) note.remove();
    for (const note of fresh.querySelectorAll(NOTES)) document.querySelector(".turns").before(document.importNode(note, true));
    for (const part of [".outline", ".sessionhead"]) {
      const made = document.importNode(fresh.querySelector(part), true);
      page.dress(made);
      document.querySelector(part).replaceWith(made);
    }
    document.dispatchEvent(new Event("renewed"));
  }

  function tell(running) {
    if (typeof index !== "undefined") index.runs(running.map((one) => one.address));
    for (const line of document.querySelectorAll("[data-running]")) {
      const call = running.find((one) => one.address === line.dataset.running);
      line.classList.toggle("runs", Boolean(call));
      line.textContent = call ? call.words : "No answer is recorded yet.";
    }
  }

  async function ask() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", ask, { once: true });
      return;
    }
    let pause = 0;
    leaving = new AbortController();
    state.search = told ? new URLSearchParams({ after: version }) : "";
    try {
      const answer = await fetch(state, { cache: "no-store", signal: leaving.signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const now = await answer.json();
      if (now.version !== version) await renew();
      version = now.version;
      told = true;
      tell(now.running);
      sign.textContent = gone ? "this session is gone" : now.running.length ? `live, ${now.running.length} running` : "live";
      sign.classList.toggle("off", gone);
    } catch {
      if (document.hidden) { ask(); return; }
      told = false;
      pause = AGAIN;
      sign.textContent = "not connected";
      sign.classList.add("off");
    }
    sign.hidden = false;
    setTimeout(ask, pause);
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) leaving?.abort(); });
  ask();
})();
