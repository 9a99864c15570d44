"""`git relay export` to a folder that it has written before: it writes what is new, and the site is as a new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gitrelay.report import earlier, folder
from gitrelay.report.listing import Entry, Row
from support.recorded import Recorder
from support.repo import Repo, sealed_environment

BEGIN = 1_790_000_000


@pytest.fixture
def made(tmp_path: Path) -> Repo:
    """Three sessions and a group of two attempts."""
    history = Recorder()
    long = history.session("long", "claude", at=BEGIN)
    long.ask("claude", "codex", "Do `it`", {"a.py": "one\n"}).answer("Done.", files={"a.py": "one\ntwo\n"})
    long.check("pytest -q", "pass", "2 passed").ask("claude", "codex", "And that").answer("Also done.")
    history.session("short", "codex", at=BEGIN + 20).ask("codex", "gemini", "One\n\n- two").answer("Words")
    history.session("gone", "codex", at=BEGIN + 30).ask("codex", "gemini", "Left").answer("Other words")
    for name in ("best-1", "best-2"):
        one = history.session(name, "claude", at=BEGIN + 40)
        one.ask("claude", "codex", "Try", {"b.py": "b\n"}).answer(f"by {name}", files={"b.py": f"{name}\n"})
    group = history.session("best", "claude", at=BEGIN + 50)
    group.ask("claude", "gitrelay", "Try", trailers={"Relay-Attempts": "2"})
    group.answer("Both.", trailers={"Relay-Attempts": "best-1/01 best-2/01", "Relay-Picked": "best-2/01 the first"})
    repo = Repo(tmp_path / "repo", sealed_environment(tmp_path / "home"))
    history.write(repo.path, repo.env)
    return repo


def identities(site: Path) -> dict[str, tuple[int, int]]:
    """What tells a file that was written from one that was left as it was."""
    found = {str(p.relative_to(site)): p.stat() for p in site.rglob("*.html")}
    return {name: (info.st_ino, info.st_mtime_ns) for name, info in found.items()}


def contents(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*.html")}


def note_of(repo: Repo) -> Path:
    (path,) = (repo.path / ".git/relay" / earlier.FOLDER).iterdir()
    return path


class Site:
    """A folder that is exported to again and again."""

    def __init__(self, repo: Repo, path: Path) -> None:
        self.repo, self.path, self.count = repo, path, 0

    def again(self, code: int = 0) -> set[str]:
        """Export once more; the names of the pages that were written, less their folder and suffix."""
        before = identities(self.path)
        done = self.repo.relay("export", "-o", str(self.path))
        assert done.code == code, done.err
        after = identities(self.path)
        return {Path(name).stem for name in after if after[name] != before.get(name)}

    def is_as_new(self) -> bool:
        """Whether an export to a folder of its own, that nothing is known of, writes the same."""
        self.count += 1
        fresh = self.path.with_name(f"fresh-{self.count}")
        self.repo.relay("export", "-o", str(fresh))
        return contents(fresh) == contents(self.path)


def test_only_what_is_new_is_written(made: Repo, tmp_path: Path) -> None:
    whole = made.git("rev-parse", "refs/heads/relay/long")
    made.git("update-ref", "refs/heads/relay/long", f"{whole}~2")
    site = Site(made, tmp_path / "site")
    sessions = {"long", "short", "gone", "best", "best-1", "best-2"}
    assert site.again() == {"index", "figures"} | sessions
    assert site.again() == set()
    kept = made.relay("export", "-o", str(site.path)).err
    assert kept == "6 sessions, 6 exchanges; 6 pages are as they were\n"

    made.git("update-ref", "refs/heads/relay/long", whole)
    assert site.again() == {"index", "figures", "long"}

    # a group's page shows its attempts, and an attempt that is archived is still one of them
    made.git("update-ref", "refs/relay/archive/best-1", "refs/heads/relay/best-1")
    made.git("update-ref", "-d", "refs/heads/relay/best-1")
    assert {"best-1", "index"} <= site.again()
    made.git("update-ref", "refs/heads/relay/best-2", "refs/heads/relay/best-2~1")
    assert "best" in site.again()

    (site.path / "sessions/short.html").unlink()
    (site.path / "sessions/long.html").write_text("mine")
    assert site.again() == {"short", "long"}
    assert site.is_as_new()
    made.git("config", "core.quotePath", "true")
    made.git("config", "diff.algorithm", "minimal")
    assert made.relay("export", "-o", str(site.path)).err == "6 sessions, 7 exchanges\n", "git's settings count"


def test_pages_of_sessions_that_are_gone_go_unless_they_were_changed(made: Repo, tmp_path: Path) -> None:
    site = Site(made, tmp_path / "site")
    site.again()
    page = site.path / "sessions/gone.html"
    text = page.read_text()
    made.git("update-ref", "-d", "refs/heads/relay/gone")
    page.write_text(text + "<!-- mine -->")
    site.again()
    assert page.exists()
    for session in ("short", "best"):
        made.git("update-ref", "-d", f"refs/heads/relay/{session}")
    note_of(made).unlink()
    os.replace(site.path / "sessions/best.html", tmp_path / "elsewhere.html")
    (site.path / "sessions/best.html").write_text("written by somebody else")
    site.again()
    assert {p.stem for p in (site.path / "sessions").iterdir()} == {"long", "best-1", "best-2", "gone", "best"}
    assert "gone" not in json.loads((site.path / folder.MARKER).read_text())["files"]


def test_the_note_is_believed_of_nothing_that_can_be_wrong(made: Repo, tmp_path: Path) -> None:
    site = Site(made, tmp_path / "site")
    site.again()
    note = note_of(made)
    lines, whole = note.read_text().splitlines(), contents(site.path)
    forged = lines[1].replace("Do `it`", "forged").replace('"claude"', "7")
    for text in (
        "",
        "[]\n",
        "{\n",
        '{"format": 1}\n',
        lines[0] + "\n[[[[",
        "[" * 100_000,
        "\n".join([lines[0], forged]),
    ):
        note.write_text(text)
        site.again()
        assert contents(site.path) == whole, text[:40]
    # a page that the user linked to another file is no page of ours
    page = site.path / "sessions/short.html"
    os.replace(page, tmp_path / "short.html")
    page.symlink_to(tmp_path / "short.html")
    assert site.again() == {"short"} and not page.is_symlink()


def test_a_damaged_session_is_read_again_until_it_is_sound(made: Repo, tmp_path: Path) -> None:
    site = Site(made, tmp_path / "site")
    site.again()
    oid = made.git("rev-parse", "refs/heads/relay/short:01.res.md")
    lost, aside = made.path / ".git/objects" / oid[:2] / oid[2:], tmp_path / "aside"
    os.replace(lost, aside)
    assert (
        site.again(7) == {"short", "index"}
        and "It cannot be read." in contents(site.path)["sessions/short.html"].decode()
    )
    assert site.again(7) == set()
    os.replace(aside, lost)
    assert site.again() == {"short", "index"} and site.is_as_new()


def test_values_come_back_as_they_were_and_nothing_else_does() -> None:
    row = Row("01", "a", "b", "done", "pass", "", 7, 0, "line", frozenset({"x", "y"}))
    entry = Entry("s", True, "", 9, (row,))
    plain: Any = json.loads(json.dumps(earlier.plain_of(entry)))
    assert earlier.value_of(Entry, plain) == entry
    for wrong in ([], plain[:-1], [*plain, 1], ["s", 1, *plain[2:]], [*plain[:-1], [plain[-1]]], {"a": 1}, None, "s"):
        with pytest.raises((TypeError, ValueError)):
            earlier.value_of(Entry, wrong)
