"""The index in a real Chromium: what needs attention, sorting and grouping, and all of it without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.browser import ENTER, Browser, require, started
from support.recorded import Recorder
from support.repo import Repo, sealed_environment
from support.waiting import eventually

AT = 1_790_000_000
DAY = 86_400
NEEDS = {
    "asks": "asks a question",
    "dead": "pending, and nothing on this machine works on it",
    "lost": "error:lost",
    "wrong": "check-failed, claimed pass",
    "refused": "rejected: what came from another clone",
}


def written() -> Recorder:
    history = Recorder()

    def one(name: str, day: int, peer: str, **more: object) -> None:
        session = history.session(name, "uma", at=AT + day * DAY, archived=bool(more.get("archived")))
        session.ask("uma", peer, f"The task of `{name}`.")
        usage = {"Relay-Usage": f"input=10 output=5 cost_usd={more['cost']}"} if "cost" in more else None
        if more.get("status") != "pending":
            reason = str(more["reason"]) if "reason" in more else None
            status = "error" if reason else "done"
            seconds = float(str(more.get("seconds", 10)))
            session.answer("Which one?", status, seconds=seconds, reason=reason, trailers=usage)
        if more.get("check"):
            session.check("pytest", str(more["check"]))

    one("cheap", 5, "codex", cost="0.25", seconds=600)
    one("dear", 1, "claude", cost="4.5", seconds=20)
    one("asks", 4, "claude", reason="needs-input", cost="1")
    one("dead", 3, "codex", status="pending")
    one("lost", 2, "codex", reason="lost")
    one("wrong", 2, "codex", check="fail (exit 1)")
    one("refused", 0, "gemini")
    one("shelved", 1, "gemini", reason="lost", archived=True)
    group = history.session("both", "uma", at=AT - DAY)
    group.ask("uma", "gitrelay", "Try it twice.")
    says = {"Relay-Attempts": "both-one/01 both-two/01", "Relay-Picked": "both-two/01 check: it passed"}
    group.answer("Two of them.", trailers=says)
    one("both-one", -1, "codex", reason="timeout")
    one("both-two", -1, "claude")
    return history


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    require()
    folder = tmp_path_factory.mktemp("index")
    env = sealed_environment(folder / "home")
    repo = Repo(folder / "repo", env)
    written().write(repo.path, env)
    repo.git("update-ref", "refs/relay/rejected/origin/refused", "refs/heads/relay/refused")
    done = repo.relay("export", "-o", "../out")
    assert done.code == 0, done.err
    return (folder / "out/index.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as running:
        yield running


def names(browser: Browser) -> list[str]:
    return browser.texts("#sessions a.name")


def sorting(browser: Browser) -> dict[str, str]:
    found: dict[str, str] = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('[aria-sort]')]"
        ".map(e => [e.querySelector('button').dataset.sort, e.getAttribute('aria-sort')]))"
    )
    return found


def test_it_sorts_groups_and_says_what_needs_attention(site: str, browser: Browser) -> None:
    browser.open("about:blank")
    browser.console()
    browser.open(site)
    latest = ["cheap", "asks", "dead", "lost", "wrong", "dear", "shelved", "refused", "both", "both-one", "both-two"]
    assert eventually(lambda: len(names(browser)) == len(latest))
    by_last = names(browser)
    assert sorting(browser) == {"last": "descending"} and by_last[:3] == latest[:3] and set(by_last) == set(latest)
    assert browser.texts(".session .line")[0] == "The task of cheap."
    assert dict(zip(by_last, browser.texts(".session .what"), strict=True))["asks"].endswith(NEEDS["asks"])

    browser.driver.find_element("css selector", "[data-sort=cost]").click()
    assert (sorting(browser), names(browser)[:3]) == ({"cost": "descending"}, ["dear", "asks", "cheap"])
    browser.press(ENTER)  # the focus is still on the column
    assert (sorting(browser), names(browser)[:3]) == ({"cost": "ascending"}, ["cheap", "asks", "dear"])
    browser.driver.find_element("css selector", "[data-sort=seconds]").click()
    assert (sorting(browser), names(browser)[0]) == ({"seconds": "descending"}, "cheap")
    assert browser.texts(".session .amount")[0] == "10 min"

    browser.choose("#group", "peer")
    heads = ["claude 3 sessions · $5.50", "codex 5 sessions · $0.25", "gemini 2 sessions", "gitrelay 1 session"]
    assert eventually(lambda: [" ".join(text.split()) for text in browser.texts(".group")] == heads)
    browser.choose("#group", "day")
    assert eventually(lambda: len(browser.texts(".group")) > 4)
    days = [text.split()[0] for text in browser.texts(".group")]
    assert days == sorted(days, reverse=True)
    browser.choose("#group", "")

    assert browser.texts("#waiting") == [str(len(NEEDS))]
    browser.press("a")
    assert eventually(lambda: set(names(browser)) == set(NEEDS))
    assert browser.texts("#found") == [f"{len(NEEDS)} sessions of {len(latest)}"]
    assert dict(zip(names(browser), browser.texts(".needs"), strict=True)) == NEEDS
    address = browser.driver.current_url
    assert "attention=1" in address and "sort=seconds" in address
    browser.open("about:blank")
    browser.open(address)  # a link that was shared
    assert eventually(lambda: set(names(browser)) == set(NEEDS))
    assert sorting(browser) == {"seconds": "descending"}
    browser.driver.find_element("id", "attention").click()
    assert eventually(lambda: len(names(browser)) == len(latest))
    assert browser.console() == []


def test_nothing_is_lost_without_scripts(site: str, browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(site)
        rows = [
            [c.text for c in row.find_elements("css selector", "th, td")]
            for row in browser.driver.find_elements("css selector", ".plainlist tbody tr")
        ]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert [row[0] for row in rows][:2] == ["cheap", "asks"] and len(rows) == 11
    assert rows[1][1] == "The task of `asks`." and rows[0][4:6] == ["10m", "$0.25"]
    assert {row[0]: row[6] for row in rows if row[6]} == NEEDS
