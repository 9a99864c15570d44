"""The exported and the live site in a real browser: what a reader can do, and that hostile messages run nothing."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from browser import DESKTOP, ESCAPE, PHONE, Browser, started
from conftest import Repo, eventually, sealed_environment
from test_web import ask, served

# each would set `owned`, load something or break out, were it not escaped
HOSTILE: Final = (
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    "<svg onload='window.owned = 1'><a xlink:href='javascript:window.owned=1'>x</a></svg>",
    "[click](javascript:window.owned=1) [data](data:text/html,<script>opener.owned=1</script>)",
    "[vb](vbscript:x) [file](file:///etc/passwd) [rel](../../../etc/passwd) <javascript:window.owned=1>",
    "![image](http://127.0.0.1:9/track.png) ![inline](data:image/svg+xml,<svg/onload=window.owned=1>)",
    "</script><script>window.owned = 1</script>",
    "</style><style>body{display:none}</style> <link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "{{ 7 + 7 }}{% raw %}{{ config }} ${7+7} <%= 7+7 %>",
    '"><iframe src="javascript:parent.owned=1"></iframe><base href="http://127.0.0.1:9/">',
    "<form action=http://127.0.0.1:9/ ><button formaction=javascript:window.owned=1>x</button></form>",
    "a \u202egnp.exe\u202c b \u2066x\u2069 \u200b \ufeff",
    "```html onload=window.owned=1\n<script>window.owned = 1</script>\n```",
    "<!--><script>window.owned=1</script--> <![CDATA[<script>window.owned=1</script>]]>",
    "\x1b]8;;http://127.0.0.1:9/\x07link\x1b]8;;\x07",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with a few sessions, one of them hostile, exported to `site` beside it."""
    folder = tmp_path_factory.mktemp("site")
    repo = Repo(folder / "repo", sealed_environment(folder / "home"))
    repo.path.mkdir()
    repo.sh("git init -q; echo 'print(1)' > app.py; git add app.py; git commit -qm first")
    ask(repo, "auth-refactor", "echo 'print(2)' > app.py; echo 'the **lock** is taken'; echo x > 'new file.txt'")
    ask(repo, "auth-refactor", "echo 'never verified'; exit 1")
    for turn in range(3, 6):
        ask(repo, "auth-refactor", f"echo turn {turn}; seq {40 * turn}")
    check = ("--check", "echo checked by hand; false")
    assert repo.relay("req", "--to", "shell", "--session", "checked", *check, "echo zebra").code == 1
    repo.git("config", "relay.bob.command", "true")
    for number, text in enumerate(HOSTILE, 1):
        by_hand(repo, "hostile", number, text)
    by_hand(repo, "prose", 1, "the **lock** is taken\n\n```python\ndef f(x):\n    return [x, 'walrus']\n```")
    assert repo.relay("export", "-o", "../site").code == 0
    assert repo.relay("export", "hostile", "auth-refactor", "-o", "../one.html").code == 0
    return repo


def by_hand(repo: Repo, session: str, number: int, text: str) -> None:
    """An exchange in which both say `text`."""
    told = repo.relay("req", "--from", "uma", "--to", "bob", "--session", session, "--no-invoke", "--", text)
    assert told.code == 0, told.err
    answer = ("--re", f"{number:02d}", "--from", "bob", "--to", "uma", "--status", "done", "--verify", "pass")
    assert repo.relay("res", "--session", session, *answer, "--", text).code == 0


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


def site(repo: Repo, page: str = "index.html") -> str:
    return (repo.path.parent / "site" / page).as_uri()


def sessions(browser: Browser) -> list[str]:
    return browser.texts("#sessions a.name")


# -- reading ---------------------------------------------------------------------------------------


def test_search_and_filters(browser: Browser, written: Repo) -> None:
    browser.open(site(written))
    assert sorted(sessions(browser)) == ["auth-refactor", "checked", "hostile", "prose"]

    def finds(*names: str) -> bool:
        return eventually(lambda: sorted(sessions(browser)) == sorted(names))

    browser.press("/")
    browser.press("zebr")  # a part of a word of the answer
    assert finds("checked")
    assert browser.texts("#found") == ["1 of 22 exchanges, in 1 sessions"]
    assert "q=zebr" in browser.run("return location.hash")
    browser.press(ESCAPE)
    assert finds("auth-refactor", "checked", "hostile", "prose")
    browser.choose("#verify", "fail")
    assert finds("auth-refactor")
    browser.choose("#verify", "refuted")
    assert finds("checked")
    browser.choose("#verify", "")
    browser.choose("#peer", "bob")
    assert finds("hostile", "prose")
    browser.choose("#status", "pending")
    assert finds() and browser.texts("#sessions .empty") == ["Nothing fits."]
    browser.run("document.getElementById('clear').click()")
    assert finds("auth-refactor", "checked", "hostile", "prose")
    browser.choose("#until", "2001-01-01")
    assert finds()
    browser.open(site(written) + "#q=lock+taken&peer=shell")  # as somebody was sent it
    assert finds("auth-refactor")


def test_a_page_is_read_with_keys_and_links(browser: Browser, written: Repo) -> None:
    browser.open("about:blank")
    browser.open(site(written, "sessions/auth-refactor.html") + "#t-03")
    assert browser.run("return document.activeElement.id") == "t-03"
    assert browser.run("return Math.abs(document.getElementById('t-03').getBoundingClientRect().top) < innerHeight / 2")
    browser.press("j")
    assert browser.run("return [document.activeElement.id, location.hash]") == ["t-04", "#t-04"]
    browser.press("kg")
    assert browser.run("return document.activeElement.id") == "t-01"
    browser.press("?")
    assert browser.run("return document.getElementById('help').open") is True
    browser.press(ESCAPE)
    assert browser.run("return document.querySelectorAll('main details:not([open])').length") > 0
    browser.press("e")
    assert browser.run("return document.querySelectorAll('main details:not([open])').length") == 0
    said = " ".join(browser.texts("#t-01"))
    assert "print(1)" in said and "print(2)" in said and "new file.txt" in said and "git show" in said
    browser.open(site(written, "sessions/prose.html"))
    assert browser.run("return document.querySelector('.response strong').textContent") == "lock"
    assert browser.run("return document.querySelectorAll('.response pre code span').length") > 3, "code has colours"
    browser.press("u")
    assert eventually(lambda: browser.run("return location.pathname").endswith("index.html"))
    browser.press("jj")
    browser.press("k")
    assert browser.run("return document.activeElement.textContent") == sessions(browser)[0]


def test_light_dark_and_the_choice_stays(browser: Browser, written: Repo) -> None:
    def background() -> list[int]:
        colour: str = browser.run("return getComputedStyle(document.body).backgroundColor")
        return [int(part) for part in colour.strip("rgb()").split(",")[:3]]

    browser.open(site(written))
    browser.dark(False)
    assert sum(background()) > 600
    browser.dark(True)
    assert sum(background()) < 200
    browser.press("t")
    assert sum(background()) > 600
    browser.open(site(written, "sessions/checked.html"))
    assert sum(background()) > 600, "the choice holds on other pages"
    browser.run("localStorage.clear()")
    browser.dark(False)


@pytest.mark.parametrize("page", ["index.html", "figures.html", "sessions/auth-refactor.html", "sessions/hostile.html"])
def test_on_a_phone_nothing_scrolls_sideways(browser: Browser, written: Repo, page: str) -> None:
    browser.size(PHONE)
    try:
        browser.open(site(written, page))
        browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
        assert browser.texts("h1")[0]
    finally:
        browser.size(DESKTOP)


# -- hostile messages ------------------------------------------------------------------------------


def test_the_detector_works(browser: Browser, tmp_path: Path, tracker: tuple[str, list[str]]) -> None:
    """Without our escaping and policy the same words do run, and load: else the next tests would prove nothing."""
    url, asked = tracker
    page = tmp_path / "unsafe.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{HOSTILE[1]}{HOSTILE[0]}<img src={url}/track.png>")
    browser.requested()
    browser.open(page.as_uri())
    assert eventually(lambda: browser.run("return window.owned") == 1)
    assert eventually(lambda: asked == ["/track.png"]) and f"{url}/track.png" in browser.requested()


def test_the_policy_holds_by_itself(
    browser: Browser, written: Repo, tmp_path: Path, tracker: tuple[str, list[str]]
) -> None:
    """Were something not escaped, it would still not run and load nothing."""
    url, asked = tracker
    page = (written.path.parent / "site/sessions/auth-refactor.html").read_text()
    wrong = f"{HOSTILE[0]}{HOSTILE[1]}<img src={url}/track.png><style>h1{{color:rgb(255,0,0)}}</style></main>"
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


@pytest.mark.parametrize("page", ["site/sessions/hostile.html", "site/index.html", "one.html"])
def test_hostile_messages_run_and_load_nothing(browser: Browser, written: Repo, page: str) -> None:
    browser.console()
    browser.requested()
    place = written.path.parent / page
    browser.open(place.as_uri())
    browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for link in range(browser.run("return document.querySelectorAll('main .prose a').length")):
        href = browser.run("return document.querySelectorAll('main .prose a')[arguments[0]].href", link)
        assert href.startswith(("http:", "https:", "mailto:")), href
        rel = browser.run("return document.querySelectorAll('main .prose a')[arguments[0]].rel", link)
        assert {"noopener", "noreferrer", "nofollow"} <= set(rel.split()), rel
    assert browser.run("return window.owned ?? null") is None
    # nothing of theirs became an element: scripts are ours, and there is no image, frame, form of theirs
    assert (
        browser.run("return document.querySelectorAll('img, iframe, object, embed, base, link[rel=stylesheet]').length")
        == 0
    )
    assert (
        browser.run("return document.querySelectorAll('.prose script, .prose style, .prose svg, .prose form').length")
        == 0
    )
    assert browser.run("return document.body.innerText").find("\u202e") == -1
    assert [url for url in browser.requested() if not url.startswith(("file:", "data:image/svg+xml"))] == []
    assert [line for line in browser.console() if "favicon" not in line] == []


def test_hostile_words_are_read_as_they_were_written(browser: Browser, written: Repo) -> None:
    browser.open(site(written, "sessions/hostile.html"))
    said = "\n".join(browser.texts("main"))
    for words in ("<script>window.owned = 1</script>", "{{ 7 + 7 }}", "${7+7}", "onerror='window.owned = 1'"):
        assert words in said, words
    assert "14" not in browser.texts("#t-09 .prose")[0]


# -- live ------------------------------------------------------------------------------------------


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
        assert browser.run("return window.here") is True, "the page was not loaded anew"
        browser.press("k")
        assert browser.run("return document.activeElement.id") in ("t-01", "t-02")

        browser.open(f"{base}/")
        browser.press("/")
        browser.press("walrus")
        assert eventually(lambda: browser.texts("#sessions .empty") == ["Nothing fits."])
        ask(repo, "later", "echo walrus")
        assert eventually(lambda: sessions(browser) == ["later"]), "the search holds for what is new"
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
