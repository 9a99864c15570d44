"""The exported site in a real Chromium, opened from the disk: it works for people, and hostile messages run nothing.

Every hostile text would leave a trace if it came alive: it sets `canary`, asks for an address below WATCHED, or is
refused by the page's policy, which the console says. `test_the_traps_snap` shows that each of the three is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.browser import DESKTOP, ENTER, ESCAPE, PHONE, Browser, require, started
from support.recorded import Recorder
from support.repo import Repo, sealed_environment
from support.waiting import eventually

DAY = 86_400
BEGIN = 1_790_000_000
WATCHED = "http://127.0.0.1:49999/"  # where nothing listens
MARKS = "Relay-Model", "Relay-Peer", "Relay-Sandbox", "Relay-Continuation"

# each comes alive in a page that does not escape it
SCRIPTS = [
    "<script>window.canary = 1</script>",
    f"<img src={WATCHED}img onerror=window.canary=2>",
    "<svg onload=window.canary=3></svg>",
    "<details open ontoggle=window.canary=4>x</details>",
    f"<iframe srcdoc='<script>parent.canary=5</script>' src={WATCHED}frame></iframe>",
    "</script><script>window.canary=6</script>",
    '"><script>window.canary=7</script>',
    "'><body onpageshow=window.canary=8>",
    "<!--<script>window.canary=9//-->",
    f"</style><style>@import '{WATCHED}style'; main {{ display: none }}</style>",
    f'<b style="background: url({WATCHED}background)">styled</b>',
    f"<link rel=stylesheet href={WATCHED}sheet>",
    f"<meta http-equiv=refresh content='0; url={WATCHED}away'>",
    f"<base href={WATCHED}>",
    f"<form action={WATCHED}form><button>send</button></form>",
    "<textarea><title><noscript><plaintext>",
    "</pre></code></figure></section></main></body></html>",
    "</script x><script y>window.canary=22</script z>",  # ends a script too, and holds no `</script>`
]
LINKS = [
    "[a](javascript:window.canary=10)",
    "[b](JaVaScRiPt:window.canary=11)",
    "[c](&#106;avascript:window.canary=12)",
    "[d](java&#10;script:window.canary=13)",
    "[e](data:text/html,<script>opener.canary=14</script>)",
    "[f](vbscript:canary)",
    "[g](file:///etc/passwd)",
    "<javascript:window.canary=15>",
    "[h][ref]\n\n[ref]: javascript:window.canary=16",
    f"![picture]({WATCHED}picture.png)",
    "![x](data:image/svg+xml,<svg onload='canary=17'>)",
    f'[i]({WATCHED}title "x\\" onmouseover=window.canary=18 y=\\"")',
    "[j](\\\\evil.invalid/share)",
    "[k](//evil.invalid/)",
    "[fine](https://example.invalid/fine)",
]
TEMPLATES = "{{ 6*7 }} {% raw %} {{ config }} ${6*7} #{6*7} <%= 6*7 %>"
BIDI = "if access == \u202eresu\u202c: \u2066x\u2069 &#x202e; \u200f \x1b[31mred\x1b[0m"
FENCES = (
    "```html\n" + "\n".join(SCRIPTS) + '\n```\n\n```"><script>window.canary=19</script>\nx\n```\n\n    </code><script>'
)
HOSTILE = "\n\n".join([*SCRIPTS, *LINKS, TEMPLATES, BIDI, FENCES])
ONE_LINE = " ".join(SCRIPTS).replace("\n", " ")


@dataclass(frozen=True)
class Site:
    """An exported site in a folder, and what it was made from."""

    folder: Path
    repo: Repo

    def url(self, page: str = "index.html") -> str:
        return (self.folder / page).as_uri()


def written() -> Recorder:
    """Sessions of plain calls, many small ones, and one where everything that can be hostile is."""
    history = Recorder()
    s = history.session("parser-port", "claude", at=BEGIN)
    files = {"src/parser.py": "def parse(text):\n    return text\n", "README": "a parser\n"}
    s.ask("claude", "codex", "Port the **parser** to the new grammar.\n\n- keep `parse`\n- run the tests", files)
    files |= {"src/parser.py": "def parse(text):\n    return text.split()\n"}
    s.answer("Ported.\n\n```python\ndef parse(text):\n    return text.split()\n```", files=files)
    s.check("pytest -q", output="3 passed")
    s.ask("claude", "codex", "Now the error messages").answer("They quote the line.").check(
        "pytest -q", "fail (exit 1)"
    )
    s.ask("claude", "codex", "Once more").answer("a long line " + "x" * 3000, verify="fail")
    s.ask("claude", "codex", "And the wide table")
    s.answer(
        "| a | b |\n|---|--:|\n" + f"| {'wide ' * 60} | 2 |\n" + "\n```\n" + "wide " * 100 + "\n```", verify="skip"
    )
    s = history.session("lock-review", "gemini", at=BEGIN + 3 * DAY)
    s.ask("gemini", "claude", "Review the lock").answer("", "error", "skip", reason="timeout", seconds=600)
    s.ask("gemini", "claude", "Review it again, quokka included")
    s = history.session("old-notes", "codex", at=BEGIN - 30 * DAY, archived=True)
    s.ask("codex", "gemini", "Write notes").answer("Notes about the wombat.")
    for number in range(150):
        s = history.session(f"many-{number:03d}", "codex", at=BEGIN - 20 * DAY + 60 * number)
        s.ask("codex", "gemini", f"Small task {number}").answer(f"Answer {number * 7919}")
    s = history.session("hostile", "claude", at=BEGIN + 9 * DAY)
    names = {f"{text.replace('/', '|')}.html": f"{text}\n" for text in SCRIPTS} | {"a\u202eb.py": BIDI + "\n"}
    s.ask("claude", "codex", HOSTILE, {"a.py": "x\n"}, {"Relay-Access": ONE_LINE})
    s.answer(HOSTILE, files=names, trailers=dict.fromkeys(MARKS, ONE_LINE))
    s.check(f"echo {ONE_LINE}", "fail (exit 1)", "```\n" + HOSTILE)
    s.ask("claude", "codex", "x").answer("", data=HOSTILE.encode() + b"\x00\xff")
    s.ask("claude", "codex", "y", trailers={"Relay-From": ONE_LINE, "Relay-To": "'\"><script>canary=20</script>"})
    s.answer("z", "error", trailers={"Relay-Reason": ONE_LINE, "Relay-Usage": f"input={ONE_LINE}"})
    s.ask("claude", "codex", "z").answer("z", trailers={"Relay-Status": ONE_LINE, "Relay-Verify": ONE_LINE})
    s.ask("claude", "codex", "z").answer("z", trailers={"Relay-Model": "m" * 300, "Relay-Head": ONE_LINE})
    for title in SCRIPTS:
        s.ask("claude", "codex", title)
    return history


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require()  # or skip, before anything is made
    folder = tmp_path_factory.mktemp("site")
    env = sealed_environment(folder / "home")
    repo = Repo(folder / "<img src=x onerror=canary=21>{{ 6*7 }}", env)  # the site's title
    written().write(repo.path, env)
    for words in (["-o", "../out"], ["parser-port", "-o", "../one.html"], ["-o", "../all.html"]):
        done = repo.relay("export", *words)
        assert done.code == 0, done.err
    return Site(folder / "out", repo)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser) -> Browser:
    running.size(DESKTOP)
    running.dark(False)
    running.open("about:blank")
    running.console(), running.requested()
    return running


def found(browser: Browser, words: str, *sessions: str) -> bool:
    """Whether the index comes to say `words` about what it found, and to list these sessions, where some are given."""
    return eventually(
        lambda: browser.texts("#found") == [words] and (not sessions or names(browser) == list(sessions)), 5
    )


def names(browser: Browser) -> list[str]:
    return browser.texts("#sessions a.name")


def test_search_and_filters(site: Site, browser: Browser) -> None:
    browser.open(site.url())
    count = 150 + 1 + 2 + 4 + 5 + len(SCRIPTS)
    assert browser.texts("#totals") == [f"154 sessions, {count} exchanges"]
    assert names(browser)[:3] == ["hostile", "lock-review", "parser-port"]
    assert len(names(browser)) < 154, "only a window of the sessions is in the page"
    browser.run("scrollTo(0, document.body.scrollHeight)")
    assert eventually(lambda: browser.run("scrollTo(0, document.body.scrollHeight)") or len(names(browser)) == 154)

    browser.type("#q", "wombat")  # stands in an answer only
    assert found(browser, f"1 of {count} exchanges, in 1 session", "old-notes")
    browser.type("#q", "QUOK incl")  # parts of two words of a task
    assert found(browser, f"1 of {count} exchanges, in 1 session", "lock-review")
    assert browser.texts(".hits .tid") == ["02"]
    browser.type("#q", "parser-port/02")
    assert found(browser, f"1 of {count} exchanges, in 1 session", "parser-port")
    assert "#q=parser-port%2F02" in browser.driver.current_url
    browser.type("#q", "nowhere-at-all")
    assert found(browser, f"0 of {count} exchanges, in 0 sessions") and browser.texts(".empty") == ["Nothing fits."]
    browser.press(ESCAPE)
    assert found(browser, "")

    for box, value, sessions in (
        ("#status", "error", {"lock-review", "hostile"}),
        ("#verify", "refuted", {"parser-port", "hostile"}),
        ("#verify", "check", {"parser-port", "hostile"}),
        ("#verify", "fail", {"parser-port"}),
    ):
        browser.choose(box, value)
        wanted = sorted(sessions)
        assert eventually(lambda: sorted(names(browser)) == wanted, 5), (box, value, names(browser))  # noqa: B023
        browser.driver.find_element("id", "clear").click()
        assert found(browser, "")
    browser.choose("#peer", "gemini")
    browser.choose("#status", "done")
    browser.choose("#since", "2026-01-01")
    assert found(browser, f"151 of {count} exchanges, in 151 sessions")
    browser.choose("#until", "2026-08-29")
    assert eventually(lambda: names(browser) == ["old-notes"], 5)
    address = browser.driver.current_url
    browser.open("about:blank")
    browser.open(address)  # somebody else opens what was searched
    assert found(browser, f"1 of {count} exchanges, in 1 session", "old-notes")
    assert browser.console() == []


def test_keys_lead_through_the_site(site: Site, browser: Browser) -> None:
    browser.open(site.url())
    browser.press("/")
    browser.press("lock")
    assert eventually(lambda: names(browser) == ["lock-review"], 5)
    browser.press(ENTER)  # to the first that was found
    browser.press(ENTER)
    assert eventually(lambda: browser.driver.current_url == site.url("sessions/lock-review.html"), 5)
    browser.press("u")
    assert eventually(lambda: browser.driver.current_url.startswith(site.url()), 5)
    browser.press("jjk")
    assert browser.run("return document.activeElement.innerText") == "hostile"
    browser.press("j" * 70)  # beyond the window
    assert browser.run("return document.querySelectorAll('#sessions .session').length") > 60
    assert (
        browser.run("return [...document.querySelectorAll('#sessions .session')].findIndex(e => e.matches('.at'))")
        == 70
    )

    browser.open(site.url("sessions/parser-port.html"))
    at = "return [location.hash, document.activeElement.id, document.querySelector('.outline .here')?.hash]"
    for key, turn in (("g", "01"), ("j", "02"), ("j", "03"), ("k", "02"), ("G", "04"), ("j", "04")):
        browser.press(key)
        assert browser.run(at) == [f"#t-{turn}", f"t-{turn}", f"#t-{turn}"], key
    folds = "return [...document.querySelectorAll('main details')].map(e => e.open)"
    assert set(browser.run(folds)) == {False}
    browser.press("e")
    assert set(browser.run(folds)) == {True}
    browser.press("?")
    assert browser.run("return document.getElementById('help').open") is True
    browser.press("?")
    assert browser.run("return document.getElementById('help').open") is False
    browser.press("/")
    assert eventually(lambda: browser.run("return document.activeElement.id") == "q", 5)


def test_a_deep_link_leads_to_the_turn(site: Site, browser: Browser) -> None:
    top = "return document.getElementById('t-03').getBoundingClientRect().top"
    for page, anchor in (
        ("out/sessions/parser-port.html", "t-03"),
        ("one.html", "t-03"),
        ("all.html", "parser-port-t-03"),
    ):
        browser.open((site.folder.parent / page).as_uri() + f"#{anchor}")
        assert eventually(lambda: 0 <= browser.run(top.replace("t-03", anchor)) < 200, 5), (page, browser.run(top))  # noqa: B023
        assert browser.run("return document.activeElement.id") == anchor
    browser.open(site.url() + "#q=Once")
    browser.driver.find_element("css selector", ".hits a").click()
    assert browser.driver.current_url == site.url("sessions/parser-port.html#t-03").replace("%23", "#")
    assert "Port the parser" in browser.texts("#t-01 .request")[0]
    diff = browser.run("return [...document.querySelectorAll('#t-01 .diff .add')].map(e => e.textContent.trim())")
    assert diff == ["+    return text.split()"]
    assert browser.texts("#t-02 .turnhead .badge")[0].endswith("check-failed, claimed pass")


def test_light_and_dark(site: Site, browser: Browser) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(251, 250, 247)", "rgb(21, 24, 27)"
    browser.open(site.url())
    assert browser.run(paper) == light
    browser.dark(True)  # it follows the system
    assert browser.run(paper) == dark
    browser.press("t")
    assert browser.run(paper) == light
    browser.open(site.url("sessions/parser-port.html"))  # what was chosen holds on the next page
    assert browser.run(paper) == light
    browser.driver.find_element("css selector", "[data-do=theme]").click()
    assert browser.run(paper) == dark
    browser.run("localStorage.clear()")


CONTRAST = """
const rgb = (text) => {
  const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  c.fillStyle = text;
  c.fillRect(0, 0, 1, 1);
  return [...c.getImageData(0, 0, 1, 1).data];
};
const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] > 250) return c;
  }
  return rgb('white');
};
const poor = new Map();
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility() || e.closest('.dim, svg')) continue;
  const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) poor.set(`${e.tagName}.${e.className} in ${e.parentElement.className}`, ratio);
}
return Object.fromEntries(poor)
"""
OPEN = "for (const fold of document.querySelectorAll('details')) fold.open = true"


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(site: Site, browser: Browser, dark: bool) -> None:
    """WCAG 2.2, 1.4.3: a ratio of 4.5 at least."""
    browser.dark(dark)
    for page in ("index.html", "figures.html", "sessions/parser-port.html", "sessions/lock-review.html"):
        browser.open(site.url(page))
        browser.run(OPEN)
        assert browser.run(CONTRAST) == {}, page
    assert browser.run("document.querySelector('h1').style.color = '#777';" + CONTRAST), "a poor one is found"


WIDE = """
const [width, scrolls] = [arguments[0], 'pre, .scroll, .table, .skip, svg'];  // these scroll within the page
const wide = [...document.querySelectorAll('body *')].filter(
  e => e.getBoundingClientRect().right > width + 1 && !e.closest(scrolls));
return [document.documentElement.scrollWidth, wide.slice(-3).map(e => e.outerHTML.slice(0, 300))]
"""


def test_no_page_is_wider_than_the_screen(site: Site, browser: Browser) -> None:
    for page in (
        "index.html",
        "index.html#q=script",
        "figures.html",
        "sessions/parser-port.html",
        "sessions/hostile.html",
    ):
        browser.open(f"{site.url()}/../{page}")
        browser.run(OPEN)
        for size in (PHONE, (320, 568), (768, 1024)):
            browser.size(size)
            assert browser.run(WIDE, size[0]) == [size[0], []], page


def test_it_reads_without_scripts(site: Site, browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(site.url())
        listed = browser.texts(".plainlist a")
        assert len(listed) == 154 and listed[0] == "hostile"
        browser.open(site.url("sessions/parser-port.html"))
        assert "Port the parser" in browser.texts("#t-01 .request")[0]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


ALIVE = """
const risky = 'script, style, link, meta, base, form, iframe, object, embed, img, video, textarea';
const every = [...document.querySelectorAll('*')];
const attributes = every.flatMap(e => [...e.attributes].map(a => `${e.tagName} ${a.name}`));
const addresses = [...document.querySelectorAll('[href], [src]')].map(e => new URL(e.href ?? e.src));
const reordering = /[\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u061c\\x1b]/g;
return {
  canary: window.canary ?? null,
  elements: [...document.querySelectorAll(risky)].map(e => e.tagName.toLowerCase()).sort(),
  handlers: attributes.filter(text => / (on|style$|srcdoc)/.test(text)),
  schemes: [...new Set(addresses.map(url => url.protocol))].sort(),
  reordering: (document.documentElement.innerHTML.match(reordering) ?? []).length,
}
"""
CLICK = "for (const a of document.querySelectorAll('.prose a:not([href^=http]):not([href^=mailto])')) a.click()"
# what a page of ours has: its policy and five more lines of <meta>, the icon, the style, two scripts, the help's form
OWN = ["form", "link", *["meta"] * 7, "script", "script", "style"]


@pytest.mark.parametrize("page", ["index.html", "sessions/hostile.html", "figures.html", "../all.html"])
def test_hostile_messages_run_nothing(site: Site, browser: Browser, page: str) -> None:
    browser.open((site.folder / page).resolve().as_uri())
    if page == "index.html":
        browser.type("#q", "canary")
        assert eventually(lambda: len(browser.texts(".hits li")) > 8, 5)
    browser.run(OPEN)
    index = ["form", "script", "script"] if page == "index.html" else []  # the filters, and the data
    expected = {"canary": None, "elements": sorted(OWN + index), "handlers": [], "reordering": 0}
    state = browser.run(ALIVE)
    assert set(state.pop("schemes")) <= {"data:", "file:", "http:", "https:"}
    assert state == expected
    browser.run(CLICK)
    assert browser.run("return window.canary ?? null") is None
    text = browser.run("return document.body.innerText")
    assert "{{ 6*7 }}" in text, "the site's title"
    assert page == "figures.html" or "window.canary = 1</script>" in text
    assert "[U+202E]" in text or "session" not in page
    if "session" in page:  # one response of these is none
        assert len(browser.texts(".note.bad")) == 1 and browser.texts("#t-02 .note.bad")
    assert "42" not in browser.run("return document.title")
    own = ("file:", "data:image/svg+xml,%3Csvg", "data:image/svg+xml;base64,")  # the last: Chromium's sign for a date
    assert [url for url in browser.requested() if not url.startswith(own)] == []
    assert browser.console() == []
    followed = browser.run("return [...document.querySelectorAll('a[href^=http]')].map(e => [e.protocol, e.rel])")
    assert {rel for _, rel in followed} <= {"noopener noreferrer nofollow"}
    if page == "sessions/hostile.html":
        assert browser.run("return [...document.querySelectorAll('a.dead')].length") == 0 and followed
        assert (
            browser.run("return [...document.querySelectorAll('main a')].some(a => a.protocol === 'javascript:')")
            is False
        )


def test_the_traps_snap(site: Site, browser: Browser, tmp_path: Path) -> None:
    """The same texts, put into an exported page as they are: refused by its policy; and without one, all alive."""
    exported = (site.folder / "sessions/lock-review.html").read_text()
    policy = re.search(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", exported)
    assert policy is not None and "unsafe" not in policy[0]
    seen: dict[str, set[int]] = {"with": set(), "without": set()}
    asked: list[str] = []
    for text in [*SCRIPTS[:12], "<a id=l href='javascript:window.canary=10'>x</a>"]:
        for kind, kept in (("with", exported), ("without", exported.replace(policy[0], ""))):
            page = tmp_path / "page.html"
            page.write_text(kept.replace("</main>", text + "</main>", 1))
            browser.open(page.as_uri())
            browser.run("document.getElementById('l')?.click()")
            if kind == "without":
                eventually(lambda: browser.run("return window.canary ?? 0") > 0, 0.3)
            canary = browser.run("return window.canary ?? 0")
            seen[kind] |= {canary} - {0}
            said, requested = browser.console(), [url for url in browser.requested() if url.startswith(WATCHED)]
            if kind == "with":
                assert any("Content Security Policy" in line for line in said) or "canary=9" in text, (text, said)
            else:
                asked += requested
    assert seen["with"] == set()
    assert seen["without"] >= {1, 2, 3, 4, 6, 7, 10}
    assert {url.removeprefix(WATCHED) for url in asked} >= {"img", "style", "background", "sheet"}


def test_data_in_the_page_is_what_was_recorded(site: Site, browser: Browser) -> None:
    """`</script>` and `<!--` in the data block neither end it nor change it."""
    browser.open(site.url())
    rows = browser.run("return document.getElementById('rows').textContent")
    hostile = next(s for s in json.loads(rows)["sessions"] if s[0] == "hostile")
    assert [row[8] for row in hostile[3][-len(SCRIPTS) :]] == [
        " ".join(t.split())[:160].strip("#>*-= ") or "" for t in SCRIPTS
    ]
