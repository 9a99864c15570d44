"""The live site in a real browser, and the policy that every page carries."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import Browser, started
from support.repo import Repo
from support.waiting import eventually
from support.website import ask, served


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def tracker() -> Iterator[tuple[str, list[str]]]:
    """(the address of a server, the paths that it was asked for)."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_policy_holds_by_itself(
    browser: Browser, repo: Repo, tmp_path: Path, tracker: tuple[str, list[str]]
) -> None:
    """Were something not escaped, it would still not run and load nothing."""
    url, asked = tracker
    ask(repo, "first", "echo one")
    assert repo.relay("export", "-o", str(tmp_path / "site")).code == 0
    page = (tmp_path / "site/sessions/first.html").read_text()
    script = "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
    wrong = f"{script}<img src={url}/track.png><style>h1{{color:rgb(255,0,0)}}</style></main>"
    file = tmp_path / "injected.html"
    file.write_text(page.replace("</main>", wrong, 1))
    browser.console()
    browser.open(file.as_uri())
    said: list[str] = []

    def refused(what: str) -> bool:
        said.extend(browser.console())
        return any("Content Security Policy" in line and what in line for line in said)

    for what in ("inline script", "inline event handler", "inline style", "track.png"):
        assert eventually(lambda what=what: refused(what)), (what, said)  # type: ignore[misc]
    assert browser.run("return window.owned ?? null") is None and asked == []
    assert browser.run("return getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"


def test_turns_appear_while_they_land(browser: Browser, repo: Repo) -> None:
    ask(repo, "first", "echo one")
    with served(repo) as live:
        base = f"http://127.0.0.1:{live.port}/{live.token}"
        browser.console()
        browser.open(f"{base}/sessions/first.html")
        browser.run("window.here = true")
        assert browser.texts(".turn h2 .number") == ["01"]
        assert eventually(lambda: browser.texts(".live") == ["live"])
        assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "first", "-d", "sleep 60").code == 0
        assert eventually(lambda: "shell has been at work for" in " ".join(browser.texts("#t-02 .waiting")))
        assert repo.relay("cancel", "first/02").code == 0
        assert eventually(lambda: "cancelled" in " ".join(browser.texts("#t-02 .response")))
        assert browser.run("return window.here") is True, "the page was not loaded again"
        browser.press("k")
        assert browser.run("return document.activeElement.id") in ("t-01", "t-02")

        browser.open(f"{base}/")
        browser.press("/")
        browser.press("walrus")
        assert eventually(lambda: browser.texts("#sessions .empty") == ["Nothing fits."])
        ask(repo, "later", "echo walrus")
        assert eventually(lambda: browser.texts("#sessions a.name") == ["later"]), "the search holds for what is new"

        browser.open(f"{base}/sessions/later.html")
        assert eventually(lambda: browser.texts(".live") == ["live"])
        repo.git("update-ref", "-d", "refs/heads/relay/later")
        assert eventually(lambda: browser.texts(".live") == ["this session is gone"])
        assert browser.driver.get_cookies() == [] and browser.run("return document.cookie") == ""
        live.process.kill()
        assert eventually(lambda: browser.texts(".live") == ["not connected"])
        assert not [line for line in browser.console() if "Content Security" in line]


def test_no_other_page_can_read_the_live_site(browser: Browser, repo: Repo, tmp_path: Path) -> None:
    ask(repo, "first", "echo one")
    with served(repo) as live:
        address = f"http://127.0.0.1:{live.port}/{live.token}/"
        page = tmp_path / "other.html"
        page.write_text(
            f"<!doctype html><iframe src={json.dumps(address)}></iframe><script>"
            f"fetch({json.dumps(address)}).then(a => a.text()).then(t => window.read = t, () => window.read = 'no')"
            "</script>"
        )
        browser.open(page.as_uri())
        assert eventually(lambda: browser.run("return window.read") == "no")
        assert eventually(lambda: any("frame" in line.lower() for line in browser.console()))


def test_a_call_that_runs_needs_nobody_until_its_supervisor_dies(browser: Browser, repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "s", "-d", "sleep 60").code == 0
    with served(repo) as live:
        browser.open(f"http://127.0.0.1:{live.port}/{live.token}/")
        assert eventually(lambda: browser.texts(".live") == ["live, 1 running"])
        assert browser.texts("#waiting") == ["0"] and browser.texts(".needs") == []
        os.kill(int((repo.path / ".git/relay/calls/s/alive").read_text().split()[0]), signal.SIGKILL)
        dead = "pending, and nothing on this machine works on it"
        assert eventually(lambda: browser.texts(".needs") == [dead]) and browser.texts("#waiting") == ["1"]
    repo.relay("cancel", "s/01")
    assert repo.relay("log", "s", "--json").json["data"][0]["status"] == "error", "and it is recorded as lost"


def test_a_new_turn_is_brought_by_the_answer_that_was_waited_for(browser: Browser, repo: Repo) -> None:
    """No reload, and no timer between: the question that is open when the ref moves is answered with it."""
    ask(repo, "first", "echo one")
    before = repo.git("rev-parse", "relay/first")
    ask(repo, "first", "echo two")
    after = repo.git("rev-parse", "relay/first")
    repo.git("update-ref", "refs/heads/relay/first", before)
    with served(repo) as live:
        browser.open(f"http://127.0.0.1:{live.port}/{live.token}/sessions/first.html")
        browser.run(
            "window.seen = null; new MutationObserver(() => {"
            "  if (!window.seen && document.getElementById('t-02')) window.seen = performance.now();"
            "}).observe(document.querySelector('.turns'), {childList: true});"
        )
        assert eventually(lambda: browser.texts(".live") == ["live"])
        moved = time.time()
        repo.git("update-ref", "refs/heads/relay/first", after)
        assert eventually(lambda: browser.run("return window.seen") is not None)
        seen, answered = browser.run(
            "const from = arguments[0] * 1000 - performance.timeOrigin;"
            "return [window.seen - from, performance.getEntriesByType('resource').filter(e =>"
            "  e.name.includes('state.json') && e.responseEnd > from && e.responseEnd < window.seen).length]",
            moved,
        )
        print(f"seen {seen:.0f} ms after the ref began to move")
        assert answered == 1, "another question was needed"
