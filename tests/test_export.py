"""What `git relay export` writes, where it refuses to, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import Repo, eventually
from test_web import ask

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from make_history import make


@pytest.fixture
def asked(repo: Repo) -> Repo:
    ask(repo, "auth", "echo 'print(2)' > app.py; echo one")
    ask(repo, "auth", "exit 1")
    return repo


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_site_is_an_index_figures_and_a_page_for_each_session(asked: Repo, tmp_path: Path) -> None:
    place = tmp_path / "site"
    done = asked.relay("export", "-o", str(place))
    assert done.code == 0 and done.out == f"{place}/index.html\n" and "1 sessions, 2 exchanges" in done.err
    assert names(place) == ["figures.html", "gitrelay-export.json", "index.html", "sessions/auth.html"]
    page = (place / "sessions/auth.html").read_text()
    for commit in asked.git("log", "--format=%H", "relay/auth").split()[:4]:
        assert f"git show {commit[:12]}" in page
    assert "print(1)" in page and "print(2)" in page, "the diff of the turn"


def test_the_same_export_again_brings_it_up_to_date_and_removes_only_its_own(asked: Repo, tmp_path: Path) -> None:
    place = tmp_path / "site"
    ask(asked, "other", "true")
    assert asked.relay("export", "-o", str(place)).code == 0
    (place / "mine.txt").write_text("mine")
    asked.git("update-ref", "-d", "refs/heads/relay/other")
    assert asked.relay("export", "-o", str(place)).code == 0
    assert names(place) == ["figures.html", "gitrelay-export.json", "index.html", "mine.txt", "sessions/auth.html"]


@pytest.mark.parametrize("place", ["folder", "page.html", "text.md", "records.json"])
def test_nothing_of_anybody_elses_is_overwritten_without_force(asked: Repo, tmp_path: Path, place: str) -> None:
    target = tmp_path / place
    mine = target / "index.html" if place == "folder" else target
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    done = asked.relay("export", "-o", str(target))
    assert done.code == 2 and "--force" in done.err and done.err.count("\n") == 1, done.err
    assert mine.read_text() == "mine"
    assert asked.relay("export", "-o", str(target), "--force").code == 0
    assert mine.read_text() != "mine"


def test_one_page_a_transcript_and_the_records(asked: Repo, tmp_path: Path) -> None:
    assert asked.relay("export", "auth", "-o", str(tmp_path / "one.html")).code == 0
    assert "auth" in (tmp_path / "one.html").read_text()
    text = asked.relay("export", "auth", "--format", "md")
    assert text.code == 0 and "> " in text.out and "uma" in text.out and "```" in text.out
    (session,) = json.loads(asked.relay("export", "--format", "json").out)["sessions"]
    first, second = session["exchanges"]
    assert (first["address"], first["verify"], second["verify"]) == ("auth/01", "pass", "fail")
    assert [file["path"] for file in first["files"]] == ["app.py"] and second["files"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export"], "-o DIR"),
        (["export", "--format", "md", "-o", "x.html"], "do not fit"),
        (["export", "nobody", "-o", "x"], "'nobody'"),
        (["export", "No/Slug", "-o", "x"], "'No/Slug'"),
        (["export", "--json"], "-o DIR"),
    ],
)
def test_wrong_words(asked: Repo, words: list[str], said: str) -> None:
    done = asked.relay(*words)
    assert done.code == 2 and said in done.err + done.out and "Traceback" not in done.err


def test_an_empty_repository_has_a_site_too(repo: Repo, tmp_path: Path) -> None:
    assert repo.relay("export", "-o", str(tmp_path / "site")).code == 0
    assert "0 sessions, 0 exchanges" in (tmp_path / "site/index.html").read_text()


def test_a_damaged_session_hides_no_other(asked: Repo, tmp_path: Path) -> None:
    ask(asked, "whole", "true")
    tip = asked.git("rev-parse", "relay/auth")
    (asked.path / ".git/objects" / tip[:2] / tip[2:]).unlink()
    done = asked.relay("export", "-o", str(tmp_path / "site"))
    assert done.code == 7 and "auth" in done.err
    assert "cannot be read" in (tmp_path / "site/sessions/auth.html").read_text()
    assert "whole" in (tmp_path / "site/index.html").read_text()


def test_what_is_interrupted_says_so_and_is_mended_by_the_next(repo: Repo, tmp_path: Path) -> None:
    """A site of 1,000 exchanges, from several processes; Ctrl-C while its pages are written."""
    make(tmp_path / "large", sessions=50, exchanges=20)
    large, place = Repo(tmp_path / "large", repo.env), tmp_path / "site"
    running = large.start("export", "-o", str(place))
    assert eventually(lambda: running.poll() is not None or len(names(place)) > 3)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and b"Traceback" not in err, err
    assert json.loads((place / "gitrelay-export.json").read_text())["complete"] is False
    for page in place.rglob("*.html"):
        assert page.read_text().endswith("</html>\n") or page.read_text().endswith("</html>")
    done = large.relay("export", "-o", str(place))
    assert done.code == 0 and "50 sessions, 1000 exchanges" in done.err
    assert json.loads((place / "gitrelay-export.json").read_text())["complete"] is True
    assert len(list((place / "sessions").iterdir())) == 50 and not list(place.rglob(".*.tmp"))
