"""The page of a file in the site: who wrote each line, in an export that asks for it and in `git relay web`."""

from __future__ import annotations

import html
import os
import random
import re
import shutil
from pathlib import Path

import pytest

from gitrelay.ledger.ledger import open_ledger
from gitrelay.provenance.lines import views
from gitrelay.report.files import page_of
from support.histories import FILE, History
from support.kinds import squash
from support.repo import Repo, sealed_environment
from support.website import served

SECRET = "password = 'hunter2hunter2'"
HOSTILE = "<script>\u202e&"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, History]:
    folder = tmp_path_factory.mktemp("viewed")
    made = History(random.Random(3))
    made.start()
    squash(made)
    made.files |= {"a <b>.txt": [(SECRET, None), (HOSTILE, None)], "bin": [("\0", None)], "sub/.x": [("", None)]}
    made.commit()
    env = sealed_environment(folder / "home")
    made.write(folder / "repo", env)
    return Repo(folder / "repo", env), made


def told(page: str) -> list[tuple[int, str, list[str]]]:
    """(number, text, addresses) of each line of a page."""
    found = []
    for stretch in page.split('<div class="stretch ')[1:]:
        writer, _, lines = stretch.partition('<div class="diff">')
        owners = re.findall(r'<p><a href="../sessions/[^"]+"><bdi>([^<]+)</bdi>', writer)
        for number, text in re.findall(r'<div class=same id="L\d+" data-n=(\d+)>(.*)</div>', lines):
            found.append((int(number), html.unescape(re.sub("<[^>]+>", "", text)), owners))
    return found


def test_an_export_has_the_pages_that_are_asked_for(history: tuple[Repo, History], tmp_path: Path) -> None:
    repo, made = history
    site = tmp_path / "site"
    done = repo.relay("export", "-o", str(site), "--file", "src", "--file", "a <b>.txt", "--file", "bin")
    assert done.code == 0, done.err
    page = (site / page_of(FILE)).read_text()
    assert told(page) == [(n, text, [owner] if owner else []) for n, (text, owner) in enumerate(made.files[FILE], 1)]
    assert "no recorded exchange is known to have added it" in page and "older than the first exchange" in page
    assert "human" not in page.partition("<main")[2] and "default-src 'none'" in html.unescape(page)
    for name, turn in re.findall(r'href="\.\./sessions/([^"]+)\.html#(t-\d+)"', page):
        assert f'id="{turn}"' in (site / "sessions" / f"{name}.html").read_text()
    assert f'href="../{page_of(FILE)}"' in (site / "sessions/a.html").read_text()
    strange = (site / page_of("a <b>.txt")).read_text()
    assert [text for _, text, _ in told(strange)] == ["password = '[redacted:password]'", "<script>[U+202E]&"]
    assert "hunter2" not in strange and "a &lt;b&gt;.txt" in strange
    assert "is not text" in (site / page_of("bin")).read_text()
    assert repo.relay("export", "-o", str(site)).code == 0
    assert not list((site / "files").iterdir()) and "files/" not in (site / "sessions/a.html").read_text()
    for words in (["nope"], ["../x"], [""], ["src", "--format", "md"]):
        refused = repo.relay("export", "-o", str(site), "--file", *words)
        assert refused.code == 2 and refused.err.count("\n") == 1, refused.err


def test_the_live_site_works_it_out_when_it_is_asked(history: tuple[Repo, History]) -> None:
    repo, made = history
    truth = [[owner] if owner else [] for _, owner in made.files[FILE]]
    with served(repo) as site:
        assert f'href="../{page_of(FILE)}"' in site.get("sessions/a.html").body
        page = site.get(page_of(FILE))
        assert page.status == 200 and [owners for _, _, owners in told(page.body)] == truth
        assert site.get(page_of("sub/.x")).status == 200
        for name in (page_of("nope"), "files/", "files/..", f"files/../{page_of(FILE)}", FILE):
            assert site.get(name).status == 404, name
        repo.sh("git mv src/app.py src/new.py && git commit -qm moved")
        assert site.get(page_of(FILE)).status == 404
        moved = told(site.get(page_of("src/new.py")).body)
        assert [owners for _, _, owners in moved] == truth


def test_a_page_does_not_wait_for_git_without_end(
    history: tuple[Repo, History], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "git"
    slow.write_text(f'#!/bin/sh\ncase " $* " in *" blame "*) exec sleep 300;; esac\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(views, "LIMIT", 0.5)
    assert "more than 0.5 s" in views.Blames(open_ledger(history[0].path)).view("README").fault
