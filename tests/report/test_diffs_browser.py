"""Diffs, links to them, and copying in a real Chromium; at the widths of a phone, a laptop and a large screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import ENTER, Browser, require, started
from support.recorded import Recorder
from support.repo import Repo, sealed_environment
from support.waiting import eventually
from support.website import served

BEGIN = 1_790_000_000
WIDE = (1720, 900)
SMALL = (360, 740)
LONG = "value = compute(" + ", ".join(f"argument_{n}" for n in range(30)) + ")"
BEFORE = "".join(f"line_{n} = {n}\n" for n in range(1, 61))
AFTER = BEFORE.replace("line_30 = 30\n", "line_30 = 31\n").replace("line_31 = 31\n", f"{LONG}\n{LONG}\n")
MARKDOWN = """\
### What I did

1. **First** *this* `a|b`
2. then ~~that~~
   - below
   - and [a page](https://example.invalid/x?y=1)

> A quote
> of two lines

| a | b |
| --- | --- |
| `x` | 2 \\| 3 |

````text
```
fence
````

---

No more.\N{SPACE}\N{SPACE}
The end: ``a ` b``.
"""
FROM_RIGHT = """\
\u05e9\u05dc\u05d5\u05dd `src/a.py` \u05e2\u05d5\u05dc\u05dd.

- \u05e8\u05d0\u05e9\u05d5\u05df
- English

| \u05e9\u05dd | \u05e2\u05e8\u05da |
|---|---|
| \u05d0 | 2 |

English again.
"""
MANY = "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n| first | 2 | 3 `x||y` | 4 | 5 | 6 | 7 | 8 |\n"
FEW = f"| key | value |\n|---|---|\n| {'long_' * 30} | {'words ' * 20} |\n"
ANSWER = "I changed `src/a.py:30`, see src/a.py:27 and `src/b.py`.\n\n```python\nprint('<b>')\n```\n"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require()
    with started(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require()
    top = tmp_path_factory.mktemp("site")
    env = sealed_environment(top / "home")
    history = Recorder()
    s = history.session("diffs", "claude", at=BEGIN)
    s.ask("claude", "codex", "Change it", {"src/a.py": BEFORE, "gone.txt": "x\n"})
    s.answer(ANSWER, files={"src/a.py": AFTER, "bin": "\0"})
    s.ask("claude", "codex", "Say it in many ways").answer(MARKDOWN)
    s.ask("claude", "codex", FROM_RIGHT).answer(f"{MANY}\n{FEW}", verify="fail", seconds=900)
    s.check("pytest -q", "fail (exit 1)")
    for day in range(1, 30):
        s = history.session(f"day-{day}", "claude", at=BEGIN + 86_400 * day)
        usage = {"Relay-Model": "m" * 60, "Relay-Usage": "input=123456789 cached=1 output=123456789 cost_usd=1234.5"}
        s.ask("claude", "a-peer-with-a-very-long-name", "x").answer("y", verify="fail", seconds=5000, trailers=usage)
    repo = Repo(top / "repo", env)
    history.write(repo.path, env)
    done = repo.relay("export", "-o", "../out")
    assert done.code == 0, done.err
    return top / "out"


SIDES = """
const box = (kind) => document.querySelector(`.${kind}:is([data-o="30"], [data-n="30"])`).getBoundingClientRect();
const [old, fresh] = [box("del"), box("add")];
return fresh.left > old.left + 200 && fresh.top === old.top;
"""
OUTSIDE = """
const wide = [...document.querySelectorAll(`${arguments[0]} *:not(.skip)`)].filter(
  e => e.getBoundingClientRect().right > innerWidth + 1);
return [document.documentElement.scrollWidth - innerWidth, wide.slice(-3).map(e => e.outerHTML.slice(0, 200))];
"""
NUMBERS = """
const of = (line, place) => getComputedStyle(line, place).content.replaceAll('"', "");
const lines = [...document.querySelectorAll(".both > .same, .both .pair > div")].slice(2, 5);
return lines.map(e => [of(e, "::before"), of(e, "::after")]);
"""


def test_a_diff_is_read_at_every_width(site: Path, browser: Browser) -> None:
    browser.open((site / "sessions/diffs.html").as_uri())
    browser.run("for (const fold of document.querySelectorAll('.file')) fold.open = true")
    assert browser.texts(".diff mark")[:2] == ["30", "31"]
    assert browser.run("return document.querySelector('.diff .add .m').textContent") == "31"
    assert browser.texts(".diff .fold > summary")[0] == "17 unchanged lines"
    for size, beside in ((WIDE, True), ((1280, 900), False), (SMALL, False)):
        browser.size(size)
        assert browser.run(SIDES) is beside, size
        assert browser.run(OUTSIDE, "#t-01") == [0, []], size
    browser.size((1280, 900))
    assert browser.run(NUMBERS) == [["29", "29"], ["30", "none"], ["31", "none"]]
    line = "return document.querySelector('.diff [data-n=\"12\"]').checkVisibility()"
    assert browser.run(line) is False
    browser.run("document.querySelector('.diff .fold > summary').click()")
    assert browser.run(line) is True
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("return [...document.querySelectorAll('.fold:not([open])')].length") > 0, (
        "context is not printed"
    )
    assert browser.console() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_path_in_an_answer_opens_its_diff(site: Path, browser: Browser, scripts: bool) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    try:
        browser.size((1280, 900))
        browser.open((site / "sessions/diffs.html").as_uri())
        assert browser.texts("a.place") == ["src/a.py:30", "src/a.py:27"]
        for words, target in (("src/a.py:30", "t-01-f3-30"), ("src/a.py:27", "t-01-f3-27")):
            browser.open("about:blank")
            browser.open((site / "sessions/diffs.html").as_uri())
            browser.driver.find_element("link text", words).click()
            seen = f"return document.getElementById('{target}')?.checkVisibility()"
            assert eventually(lambda seen=seen: browser.run(seen), 5), words  # type: ignore[misc]
            top = f"const t = document.getElementById('{target}').getBoundingClientRect().top; return t > 60 && t < 900"
            assert eventually(lambda top=top: browser.run(top), 5), words  # type: ignore[misc]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


COPIED = "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(String(e)))"


def may_copy(browser: Browser) -> None:
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)


def copied(browser: Browser) -> str:
    text = browser.driver.execute_async_script(COPIED)
    assert isinstance(text, str)
    return text


def test_answers_code_and_links_are_copied(site: Path, browser: Browser) -> None:
    browser.size((1280, 900))
    page = (site / "sessions/diffs.html").as_uri()
    browser.open(page)
    may_copy(browser)

    def press(selector: str) -> str:
        """What is in the clipboard after the button was pressed by key."""
        browser.run("document.querySelector(arguments[0]).focus()", selector)
        browser.press(ENTER)
        button = f"return document.querySelector({selector!r}).textContent"
        assert eventually(lambda: browser.run(button) == "copied", 5), selector
        assert eventually(lambda: browser.texts("p.said[role=status]") == ["copied"], 5)
        return copied(browser)

    assert press("#t-02 .speaker .copy") == MARKDOWN
    assert press("#t-01 .code .copy") == "print('<b>')\n"
    assert press("#t-01 .facts .copy") == f"{page}#t-01"
    assert press("#t-01 .speaker .copy") == ANSWER
    names = "return [...document.querySelectorAll('#t-01 .copy')].map(e => e.getAttribute('aria-label'))"
    assert browser.run(names)[:3] == ["Copy link to turn 01", "Copy the answer", "Copy the code"]
    # without a clipboard that the page may use
    browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    browser.run("window.heard = []; document.addEventListener('copy', () => heard.push(getSelection().toString()))")
    browser.run("document.querySelector('#t-01 .code .copy').focus()")
    browser.press(ENTER)
    assert eventually(lambda: browser.run("return heard") == ["print('<b>')"], 5), browser.run("return heard")
    assert browser.run("return document.activeElement.textContent") == "copied"
    assert browser.console() == []


def test_copying_works_on_the_live_site(site: Path, browser: Browser) -> None:
    with served(Repo(site.parent / "repo", sealed_environment(site.parent / "home"))) as live:
        browser.open(f"http://127.0.0.1:{live.port}/{live.token}/sessions/diffs.html")
        may_copy(browser)
        browser.run("document.querySelector('#t-02 .speaker .copy').focus()")
        browser.press(ENTER)
        assert eventually(lambda: browser.texts("#t-02 .speaker .copy") == ["copied"], 5)
        assert copied(browser) == MARKDOWN
        browser.open("about:blank")  # it asks no more
    browser.console()


def test_figures_and_tables_fit_a_phone(site: Path, browser: Browser) -> None:
    browser.size(SMALL)
    for page in ("figures.html", "sessions/diffs.html"):
        browser.open((site / page).as_uri())
        browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert browser.run(OUTSIDE, "body") == [0, []], page
    assert browser.texts("#t-03 .stack td") == ["first", "2", "3 x||y", "4", "5", "6 | 7 | 8"], "no cell is lost"
    head = "return getComputedStyle(document.querySelector('#t-03 .stack td:nth-child(2)'), '::before').content"
    assert browser.run(head) == '"b: "'
    browser.open((site / "figures.html").as_uri())
    red = "return [...document.querySelectorAll('svg .bad')].map(e => e.getBoundingClientRect().right)"
    ends = browser.run(red)
    assert len(ends) > 29 and max(ends) <= SMALL[0]
    browser.size((1280, 900))
    assert browser.run("return getComputedStyle(document.querySelector('.figuretable td')).display") == "table-cell"
    assert browser.console() == []


def test_text_from_right_to_left_is_laid_out_so(site: Path, browser: Browser) -> None:
    browser.size((1280, 900))
    browser.open((site / "sessions/diffs.html").as_uri())
    of = "[...document.querySelectorAll('#t-03 .request .prose > *')]"
    directions = browser.run(f"return {of}.map(e => getComputedStyle(e).direction)")
    assert directions == ["rtl", "rtl", "rtl", "ltr"]
    sides = """
    const [text, list, table, english] = ITEMS.map(e => e.getBoundingClientRect());
    const heads = [...document.querySelectorAll("#t-03 .request th")];
    const [first, second] = heads.map(e => e.getBoundingClientRect().left);
    const prose = document.querySelector("#t-03 .request .prose").getBoundingClientRect();
    return [text.right === prose.right, list.right === prose.right, english.left === prose.left, first > second];
    """
    assert browser.run(sides.replace("ITEMS", of)) == [True] * 4
    assert browser.run("return document.querySelectorAll('#t-01 [dir], #t-02 [dir]').length") == 0
