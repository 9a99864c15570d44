"""Every kind of page keeps all of axe-core's rules, in light and in dark, in an export and in the live site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelay.report.files import page_of
from support import axe, drawn
from support.browser import PHONE, Browser, require, started
from support.repo import Repo, sealed_environment
from support.waiting import eventually
from support.website import served

OPEN = "for (const fold of document.querySelectorAll('details')) fold.open = true"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    require()
    folder = tmp_path_factory.mktemp("axe")
    env = sealed_environment(folder / "home")
    repo = Repo(folder / "repo", env)
    history = drawn.written()
    files = {"a.py": b"def a():\n    return 2\n\n# by hand\n", "c.txt": b"new\n"}
    history.add("refs/heads/main", "uma", drawn.AT + 900, "all of it\n", files, anew=True)
    history.write(repo.path, env)
    repo.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert repo.relay("export", "-o", "../out", "--file", ".").code == 0
    return repo


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as running:
        yield running


def test_the_rules_are_kept(repo: Repo, browser: Browser) -> None:
    script = axe.require()
    browser.open("data:text/html,<img src=x><button></button>")
    assert {rule for _, rule, _ in axe.violations(browser, script)} >= {"image-alt", "button-name"}, (
        "it finds something"
    )
    site = Path(repo.path.parent / "out")
    marks = {"asks": ".question .taken", "work": ".rounds .findings", "both": ".sides .side", "diffs": ".diff"}
    found = {}
    pages = [
        "index.html#group=peer",
        "index.html#q=built",
        "figures.html",
        *(f"sessions/{name}.html" for name in marks),
        page_of("a.py"),
    ]
    address = site.as_uri()
    with served(repo, "--answer") as live:
        own = f"http://127.0.0.1:{live.port}/{live.token}"
        for page in (*(f"{address}/{page}" for page in pages), f"{own}/index.html", f"{own}/questions.html"):
            browser.dark(False)
            browser.open(page)
            browser.run(OPEN)
            name = page.rpartition("/")[2].removesuffix(".html")
            assert name not in marks or browser.texts(marks[name]), page
            assert page != f"{own}/index.html" or eventually(lambda: browser.texts(".live") == ["live"])
            found[page] = axe.violations(browser, script)
            browser.dark(True)  # only colours are others
            found[f"{page} dark"] = axe.violations(browser, script, "color-contrast")
    browser.open(f"{address}/index.html#group=day")
    browser.press("?")  # the help
    found["help"] = axe.violations(browser, script)
    browser.press("?")
    browser.size(PHONE)
    found["phone"] = axe.violations(browser, script)
    browser.open(f"{address}/{page_of('a.py')}")
    assert browser.texts(".stretch.one") and browser.texts(".stretch.none")
    found["file on a phone"] = axe.violations(browser, script)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    wrong = [f"{page}: {one}" for page, all_ in found.items() for one in all_]
    assert not wrong, "\n".join(wrong)
