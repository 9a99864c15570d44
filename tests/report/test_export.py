"""`git relay export`: what it writes, and what it leaves alone. How pages look and act is in test_export_browser.py."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from gitrelay.report import changes, folder
from support.places import ROOT
from support.recorded import Recorder
from support.repo import Repo, sealed_environment
from support.waiting import eventually, patient

BEGIN = 1_790_000_000
BIDI = "\u202e"


class Parts(HTMLParser):
    """The elements of a page by id, and its links and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.links |= {found["href"] or ""} if "href" in found else set()
        self._script = (found.get("id") or "") if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += data
        else:
            self.scripts[self._script] = data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository that tests only read: a plain session, an archived one, a pending one, one of odd things."""
    top = tmp_path_factory.mktemp("made")
    history = Recorder()
    s = history.session("plain", "claude", at=BEGIN)
    files = {"src/a.py": "one\n", "gone.txt": "bye\n"}
    s.ask("claude", "codex", "# Task\n\nDo `it`", files)
    s.answer("Done.", files={"src/a.py": "one\ntwo\n"}, seconds=75, trailers={"Relay-Model": "m1"})
    s.check("pytest -q", "fail (exit 1)", "1 failed")
    s.ask("claude", "codex", "Again").answer("No.", "error", "skip", reason="quota")
    history.session("shelf", "codex", at=BEGIN + 10, archived=True).ask("codex", "gemini", "Old").answer("Words")
    history.session("asked", "codex", at=BEGIN + 20).ask("codex", "gemini", "Wait")
    history.session("opened", "codex", at=BEGIN + 30)
    s = history.session("odd", "claude", at=BEGIN - 99)
    large = {f"f{n:03d}": "x\n" for n in range(changes.FILES_MAX + 5)} | {"along": "y\n" * (changes.FILE_LINES + 1)}
    s.ask("claude", "codex", f"## 02 forged -> turn: done\n{BIDI}", {})
    s.answer("", data=b"\xff\x00 no message", files={"bin": "\x00", 'a\nb\t"q" \u202e.txt': "z", **large})
    s.check(f"echo `` {BIDI}")
    env = sealed_environment(top / "home")
    repo = Repo(top / "repo", env)
    history.write(repo.path, env)
    return repo


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_a_folder_holds_an_index_a_page_for_each_session_and_figures(made: Repo, tmp_path: Path) -> None:
    before = made.git("for-each-ref"), made.git("status", "--porcelain", "--ignored")
    done = made.relay("export", "-o", str(tmp_path / "new/site"))
    site = tmp_path / "new/site"
    assert (done.code, done.out) == (0, f"{site}/index.html\n"), done.err
    assert done.err == "5 sessions, 5 exchanges\n"
    pages = [
        "index.html",
        "figures.html",
        *(f"sessions/{n}.html" for n in ("asked", "odd", "opened", "plain", "shelf")),
    ]
    assert set(snapshot(site)) == {*pages, folder.MARKER}
    marker = json.loads((site / folder.MARKER).read_bytes())
    assert marker["complete"] is True and marker["files"] == sorted(pages)
    assert (made.git("for-each-ref"), made.git("status", "--porcelain", "--ignored")) == before

    plain = Parts((site / "sessions/plain.html").read_text())
    assert {"t-01", "t-02", "s-plain"} <= plain.ids
    oids = made.git("log", "--format=%H", "--grep=^r", "refs/heads/relay/plain").split()
    for words in (*(f"git show {oid[:12]}" for oid in oids), "git log relay/plain", "fail (exit 1)", "75s", "m1"):
        assert words in plain.text, words
    assert "gone.txt" in plain.text and "+two" in plain.text and "1 failed" in plain.text
    assert "error:quota" in plain.text
    rows = json.loads(Parts((site / "index.html").read_text()).scripts["rows"])
    assert [s[0] for s in rows["sessions"]] == ["plain", "shelf", "asked", "odd", "opened"]
    assert [s[1] for s in rows["sessions"]] == [0, 1, 0, 0, 0]
    assert "git log refs/relay/archive/shelf" in (site / "sessions/shelf.html").read_text()
    assert "No answer is recorded yet." in Parts((site / "sessions/asked.html").read_text()).text
    assert "Nothing was asked in this session yet." in Parts((site / "sessions/opened.html").read_text()).text
    for page in pages:  # every link within the site leads to something
        for link in Parts((site / page).read_text()).links:
            if not link.startswith(("data:", "http", "#")):
                assert (site / page).parent.joinpath(link.partition("#")[0]).is_file(), (page, link)


def test_odd_things_are_shown_and_named(made: Repo, tmp_path: Path) -> None:
    assert made.relay("export", "odd", "-o", str(tmp_path / "odd.html")).code == 0
    odd = Parts((tmp_path / "odd.html").read_text())
    assert "What is recorded is not a message" in odd.text and "\ufffd[U+0000] no message" in odd.text
    assert BIDI not in odd.text and 'a[U+000A]b[U+0009]"q" [U+202E].txt' in odd.text
    assert "Not shown: 601 changed lines." in odd.text and "Not shown: binary." in odd.text
    assert "And 8 files more: git relay diff odd/01 --stat" in odd.text


def test_one_page_holds_sessions_and_leads_nowhere_else(made: Repo, tmp_path: Path) -> None:
    place = tmp_path / "two.html"
    done = made.relay("export", "shelf", "plain", "-o", str(place), "--json")
    assert done.code == 0 and done.json["data"] == {
        "place": str(place),
        "format": "html",
        "files": 1,
        "sessions": 2,
        "exchanges": 3,
    }
    page = Parts(place.read_text())
    assert {"plain-t-01", "plain-t-02", "shelf-t-01"} <= page.ids
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    # its name leads to the page itself in a browser: index.html is of no use beside it
    assert {link for link in page.links if not link.startswith(("#", "data:"))} == set()


def test_a_transcript_quotes_every_word_of_an_agent(made: Repo, tmp_path: Path) -> None:
    text = made.relay("export", "--format", "md").out
    assert made.relay("export", "-o", str(tmp_path / "all.MD")).code == 0
    assert (tmp_path / "all.MD").read_text() == text
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith("#")]
    assert "## 01 claude -> codex: check-failed, claimed pass" in heads
    assert "## 02 claude -> codex: error:quota" in heads and "## 01 codex -> gemini: pending" in heads
    assert "> ## 02 forged -> turn: done" in lines and not any("forged" in line for line in heads)
    assert BIDI not in text and "\x00" not in text
    assert any(line.startswith("- check fail (exit 1): `pytest -q`, `git show ") for line in lines)
    assert "- check pass: ``` echo `` [U+202E] ```, `git show " in text
    assert "> Do `it`" in lines and "2 changed files, +1 -1" in text


def test_the_records_are_all_there(made: Repo) -> None:
    data = made.relay("export", "--format", "json").json
    sessions = {s["session"]: s for s in data["sessions"]}
    assert data["version"] == 1 and set(sessions) == {"plain", "shelf", "asked", "opened", "odd"}
    first, second = sessions["plain"]["exchanges"]
    assert (first["task"], first["body"], first["fault"]) == ("# Task\n\nDo `it`", "Done.", None)
    assert [(f["path"], f["state"], f["added"], f["deleted"]) for f in first["files"]] == [
        ("gone.txt", "D", 0, 1),
        ("src/a.py", "M", 1, 0),
    ]
    assert "1 failed" in first["checks"][0]["output"]
    assert second["reason"] == "quota" and sessions["shelf"]["archived"] is True
    odd = sessions["odd"]["exchanges"][0]
    assert odd["fault"].startswith("01.res.md: line 1") and odd["body"].endswith(" no message")
    assert len(odd["files"]) == changes.FILES_MAX + 5 + 3, "all files, not only those that a page shows"
    assert sessions["asked"]["exchanges"][0]["status"] == "pending" and sessions["opened"]["exchanges"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say where to write: -o DIR for a site, -o FILE.html for one page"),
        (("--format", "html", "-o", "-"), "say where to write"),
        (("--format", "md", "-o", "DIR/x.html"), "do not fit each other"),
        (("--format", "md", "--json"), "--json tells what was written"),
        (("nowhere", "-o", "DIR/site"), "nowhere"),
        (("Not/A/Session", "-o", "DIR/site"), "Not/A/Session"),
        (("-o", "DIR/folder.html"), "is a folder"),
    ],
)
def test_wrong_words_are_told(made: Repo, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "folder.html").mkdir()
    done = made.relay("export", *(w.replace("DIR", str(tmp_path)) for w in words))
    assert done.code == 2 and says in done.err + done.out, done.err
    assert done.raw == b"" or done.json["data"] is None
    assert snapshot(tmp_path) == {}


@pytest.mark.fast
def test_an_empty_repository_has_an_empty_site(repo: Repo, tmp_path: Path) -> None:
    assert repo.relay("export", "-o", "../site").code == 0
    assert set(snapshot(tmp_path / "site")) == {"index.html", "figures.html", folder.MARKER}
    assert "Nothing was asked yet." in (tmp_path / "site/figures.html").read_text()
    assert repo.relay("export", "-o", "../one.html").code == 0
    assert repo.relay("export", "--format", "json").json == {"version": 1, "sessions": []}
    assert repo.relay("export", "--format", "md").raw.strip() == b""
    assert repo.relay("export", "-o", "site", cwd=tmp_path).code == 2


PLACES = ("mine", "linked", "a.html", "a.md", "a.json", "link.html")


def test_nothing_is_overwritten_that_no_export_wrote(made: Repo, tmp_path: Path) -> None:
    def export(*words: str) -> int:
        done = made.relay("export", *(str(tmp_path / word) if word in PLACES else word for word in words))
        assert "Traceback" not in done.err
        return done.code

    mine = tmp_path / "mine"
    (mine / "sessions").mkdir(parents=True)
    for name in ("index.html", "sessions/plain.html", "notes.txt"):
        (mine / name).write_text("mine")
    kept = snapshot(mine)
    assert export("-o", "mine") == 2 and snapshot(mine) == kept
    for marker in ("[]", "{}", "{", '{"format": 2, "files": []}', "[" * 100_000):  # one that no export wrote
        (mine / folder.MARKER).write_text(marker)
        assert export("-o", "mine") == 2
    (mine / folder.MARKER).unlink()
    assert snapshot(mine) == kept
    assert export("-o", "mine", "--force") == 0
    assert snapshot(mine)["notes.txt"] == b"mine" and b"mine" not in snapshot(mine)["index.html"][:4]

    # an earlier export is brought up to date; a marker that lists other files has none of them taken away
    marker = json.loads((mine / folder.MARKER).read_text())
    marker["files"] += ["notes.txt", "../outside", "sessions/../../outside", str(tmp_path / "outside"), 7]
    (mine / folder.MARKER).write_text(json.dumps(marker))
    (tmp_path / "outside").write_text("out")
    (mine / "sessions/own.html").write_text("of no export")
    assert export("plain", "-o", "mine") == 0
    assert set(snapshot(mine)) == {
        "notes.txt",
        "index.html",
        "figures.html",
        "sessions/plain.html",
        "sessions/own.html",
        folder.MARKER,
    }
    assert (tmp_path / "outside").read_text() == "out"

    # a link in the place of the pages' folder leads nowhere
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/sessions").symlink_to(tmp_path / "mine")
    assert export("-o", "linked", "--force") == 2
    for name in ("a.html", "a.md", "a.json"):
        place = tmp_path / name
        place.write_text("mine")
        assert export("plain", "-o", name) == 2 and place.read_text() == "mine"
        assert export("plain", "-o", name, "--force") == 0 and "Task" in place.read_text()
    assert export("plain", "-o", "a.html") == 0, "a page of an earlier export is brought up to date"
    os.symlink(tmp_path / "outside", tmp_path / "link.html")
    assert export("plain", "-o", "link.html") == 2 and (tmp_path / "outside").read_text() == "out"


def test_a_damaged_session_is_named_and_the_others_are_written(repo: Repo, tmp_path: Path) -> None:
    for session in ("sound", "broken"):
        assert repo.relay("req", "--to", "shell", "--session", session, "echo fine").code == 0
    oid = repo.git("rev-parse", "relay/broken~1")
    (repo.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    done = repo.relay("export", "-o", "../site", "--json")
    assert done.code == 7 and done.json["data"]["sessions"] == 2, done.err
    assert "broken" in done.json["errors"][0]["message"]
    broken = Parts((tmp_path / "site/sessions/broken.html").read_text())
    assert "It cannot be read." in broken.text
    assert "fine" in Parts((tmp_path / "site/sessions/sound.html").read_text()).text
    rows = json.loads(Parts((tmp_path / "site/index.html").read_text()).scripts["rows"])
    assert [(s[0], bool(s[2])) for s in rows["sessions"]] == [("sound", False), ("broken", True)]
    assert json.loads((tmp_path / "site" / folder.MARKER).read_text())["complete"] is True
    text = repo.relay("export", "--format", "md")
    assert text.code == 7 and "# Session broken\n\nIt cannot be read: " in text.out and "fine" in text.out


def test_what_was_redacted_stays_so(repo: Repo, tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    assert repo.relay("req", "--to", "shell", "--session", "s", f"echo {secret}").code == 0
    assert repo.relay("export", "-o", "../site").code == 0
    site = snapshot(tmp_path / "site")
    assert not [name for name, data in site.items() if secret.encode() in data]
    assert b"redacted" in site["sessions/s.html"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """1,000 exchanges, which several processes render."""
    top = tmp_path_factory.mktemp("many")
    env = sealed_environment(top / "home")
    words = [sys.executable, str(ROOT / "benchmarks/make_history.py"), str(top / "repo"), "--sessions", "50"]
    subprocess.run(words, env=env, check=True, timeout=60)
    return Repo(top / "repo", env)


def begun(repo: Repo, site: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """An export that has written some pages, and not all."""
    for _ in range(5):
        running = repo.start("export", "-o", str(site), env=env)
        assert eventually(lambda: len(list(site.glob("sessions/*.html"))) > 5 or running.poll() is not None)  # noqa: B023
        if running.poll() is None:
            yield running
            return
        subprocess.run(["rm", "-r", str(site)], check=True)
    pytest.fail("no export could be caught before its end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_an_interrupted_export_is_told_from_a_whole_one(
    many: Repo, mark: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """And none of its processes outlives it: the fixture `mark` looks."""
    site = tmp_path / "site"
    for running in begun(many, site, mark):
        psutil.Process(running.pid).send_signal(number)
        out, err = running.communicate(timeout=patient(30))
        assert running.returncode != 0 and out == b"" and b"Traceback" not in err, err
    state = json.loads((site / folder.MARKER).read_bytes())
    assert state["complete"] is False and len(state["files"]) == 52
    assert not (site / "index.html").exists()
    for page in site.glob("sessions/*.html"):
        assert page.read_text().endswith("</html>"), page
    (site / "sessions" / ".auth-lock-0000.html.77.tmp").write_text("half")
    (site / "sessions" / ".mine.txt.77.tmp").write_text("mine")
    done = many.relay("export", "-o", str(site))
    assert done.code == 0, done.err
    assert json.loads((site / folder.MARKER).read_bytes())["complete"] is True
    assert len(list(site.glob("sessions/*.html"))) == 50
    assert [p.name for p in site.glob("sessions/.*")] == [".mine.txt.77.tmp"]


def test_a_page_holds_no_more_than_a_browser_lays_out(many: Repo, tmp_path: Path) -> None:
    many_more = tmp_path / "more"
    words = [sys.executable, str(ROOT / "benchmarks/make_history.py"), str(many_more), "--exchanges", "5"]
    subprocess.run(words, env=dict(many.env), check=True, timeout=60)
    done = Repo(many_more, many.env).relay("export", "-o", "../all.html")
    assert done.code == 2 and "are too many for one page; it holds 2000" in done.err and "-o" in done.err
    assert not (tmp_path / "all.html").exists()


def test_a_session_is_the_same_from_one_process_and_from_several(many: Repo, tmp_path: Path) -> None:
    data: dict[str, Any] = many.relay("ls", "--json").json
    name = data["data"]["sessions"][7]["session"] if isinstance(data["data"], dict) else data["data"][7]["session"]
    assert many.relay("export", "-o", str(tmp_path / "all")).code == 0
    assert many.relay("export", name, "-o", str(tmp_path / "one")).code == 0
    page = f"sessions/{name}.html"
    assert (tmp_path / "all" / page).read_bytes() == (tmp_path / "one" / page).read_bytes()
    rows = json.loads(Parts((tmp_path / "all/index.html").read_text()).scripts["rows"])
    assert sum(len(s[3]) for s in rows["sessions"]) == sum(1 for s in rows["sessions"] for _ in s[3]) > 990


def test_a_message_that_is_gone_is_told_from_every_process(many: Repo, tmp_path: Path) -> None:
    """Its session's commits are all there: only who reads the messages sees that it is damaged."""
    shutil.copytree(many.path, tmp_path / "repo")
    repo, site = Repo(tmp_path / "repo", many.env), tmp_path / "site"
    repo.sh("mv .git/objects/pack ../pack; for p in ../pack/*.pack; do git unpack-objects -q < $p; done")
    ref = repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads/relay").split()[7]
    oid = repo.git("rev-parse", f"{ref}:03.res.md")
    (repo.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    done = repo.relay("export", "-o", str(site), "--json")
    session = ref.removeprefix("relay/")
    assert done.code == 7 and [e["message"].startswith(f"{session}: ") for e in done.json["errors"]] == [True], done.err
    assert "It cannot be read." in (site / "sessions" / f"{session}.html").read_text()
    assert len(list((site / "sessions").iterdir())) == 50
