"""`git relay blame` and `why`: what they print, for whom, and what they refuse."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from gitrelay.report.files import page_of
from support.histories import FILE, History
from support.kinds import partial_apply, plain
from support.recorded import Recorder
from support.repo import Done, Repo, sealed_environment
from support.terminal import on_terminal

SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, History]:
    """A repository with a few exchanges, a check and a review; tests only read."""
    folder = tmp_path_factory.mktemp("blamed")
    made = History(random.Random(7))
    made.start()
    plain(made)
    made.sessions["s"].check("pytest -q")
    env = sealed_environment(folder / "home")
    made.write(folder / "repo", env)
    return Repo(folder / "repo", env), made


def rows(done: Done) -> list[dict[str, object]]:
    assert done.code == 0, done.err
    found = done.json["data"]["lines"]
    assert isinstance(found, list)
    return found


def test_each_line_has_its_exchange_in_every_form(history: tuple[Repo, History]) -> None:
    repo, made = history
    truth = made.files[FILE]
    found = rows(repo.relay("blame", FILE, "--json"))
    owners = [owner or "-" for _, owner in truth]
    assert [",".join(map(str, row["addresses"])) or "-" for row in found] == owners  # type: ignore[call-overload]
    assert [row["text"] for row in found] == [text for text, _ in truth]
    assert {row["outcome"] for row in found if row["addresses"]} == {"pass"}
    assert {row["checked"] for row in found if row["addresses"] == ["s/02"]} == {True}
    porcelain = repo.relay("blame", "--porcelain", FILE).out.split("\n")
    assert [line.split(" ")[2] for line in porcelain[:-1:2]] == owners
    assert [line[1:] for line in porcelain[1::2]] == [text for text, _ in truth]
    lines = repo.relay("blame", FILE)
    assert [line.split("\t")[1] for line in lines.out.splitlines()] == owners
    assert "by no exchange that is known (-), which does not say by whom" in lines.err and "human" not in lines.err
    assert repo.relay("blame", "--rev", "HEAD", FILE).out == lines.out
    assert repo.relay("blame", "app.py", cwd=repo.path / "src").out == lines.out
    assert (
        rows(repo.relay("blame", f"{FILE}:3-5", "--json"))
        == found[2:5]
        == rows(repo.relay("blame", "-L", "3-5", FILE, "--json"))
    )


def test_a_terminal_has_a_table_that_fits(history: tuple[Repo, History]) -> None:
    repo, _ = history
    for columns in (40, 120):
        with on_terminal(repo, "blame", FILE, columns=columns) as seen:
            assert seen.end() == 0
        lines = SGR.sub("", seen.raw.decode()).replace("\r", "").splitlines()
        assert all(len(line) <= columns for line in lines[:-1]), lines
    assert lines[0].split() == ["LINE", "ADDRESS", "PEER", "OUTCOME", "ANSWERED", "TEXT"]
    assert any("○ pass" in line for line in lines) and any("✓ pass" in line for line in lines)


def test_why_shows_the_exchange_and_the_commit(history: tuple[Repo, History]) -> None:
    repo, made = history
    at = next(i for i, (text, owner) in enumerate(made.files[FILE], 1) if owner == "s/02" and len(text) > 20)
    said = repo.relay("why", f"{FILE}:{at}").out
    for words in ("do the work of s/02", "it is done", "check pass: pytest -q", "commit ", f"{page_of(FILE)}#L{at} of"):
        assert words in said
    data = repo.relay("why", f"{FILE}:{at}", "--json").json["data"]
    assert [e["address"] for e in data["exchanges"]] == ["s/02"] and data["committed"]["author"] == "uma"
    older = next(row["line"] for row in rows(repo.relay("blame", FILE, "--json")) if row["why"] == "older")
    assert "older than the first exchange" in repo.relay("why", f"{FILE}:{older}").out
    with on_terminal(repo, "why", f"{FILE}:{at}", columns=80) as seen:
        assert seen.end() == 0
    assert "do the work of s/02" in seen.raw.decode()


def test_a_line_has_its_verdicts_of_a_loop_and_of_its_commit(tmp_path: Path) -> None:
    """Only verdicts count: no review that gave none, and no exception that a person signed off."""
    made = History(random.Random(11))
    made.start()
    one = made.exchange("s", made.some, trailers={"Relay-Key": "loop s/01 r1 build 1"})
    made.exchange("s-review", lambda a: None, trailers={"Relay-Key": "loop s/01 r1 review 1"})
    made.exchange("s-review", lambda a: None, trailers={"Relay-Key": "loop s/99 r1 review 1"})
    made.commit()
    repo = Repo(tmp_path / "repo", sealed_environment(tmp_path / "home"))
    made.write(repo.path, repo.env)
    found = rows(repo.relay("blame", FILE, "--json"))
    lines = [at for at, row in enumerate(found) if row["addresses"] == [one]]
    assert {str(found[at]["reviews"]) for at in lines} == {str([verdict("s-review/01")])}
    assert not any(row["reviews"] for row in found if not row["addresses"])
    head, base = repo.git("rev-parse", "HEAD", "HEAD~1").split()
    gate = Recorder()
    session = gate.session("gate-main", "claude", at=made.now + 100)
    for oid, verify, more in (
        (head, "fail", {}),
        (head, "skip", {}),
        ("main", "pass", {}),
        (head, "pass", {"Relay-Bypass": "the reviewer is down"}),
    ):
        bound = {"Relay-Review-Head": oid, "Relay-Review-Base": base} | more
        session.ask("gitrelay", "codex", "review", trailers=bound).answer("it is so", "done", verify, trailers=bound)
    gate.write(repo.path, repo.env)
    found = rows(repo.relay("blame", FILE, "--json"))
    both = [verdict("gate-main/01", "fail"), verdict("s-review/01")]
    assert {str(found[at]["reviews"]) for at in lines} == {str(both)}
    older = next(row for row in found if row["why"] == "older")
    assert older["reviews"] == [], "its commit is the base of the review"
    out = repo.relay("blame", FILE).out
    assert "codex ○ pass" in out and ", reviewed ✗ codex" in out and "\tolder\t" in out
    assert " review=gate-main/01:fail review=s-review/01:pass\n" in repo.relay("blame", "--porcelain", FILE).out
    assert "review gate-main/01: codex, fail" in repo.relay("why", f"{FILE}:{lines[0] + 1}").out


def verdict(address: str, outcome: str = "pass") -> dict[str, str]:
    return {"address": address, "to": "codex", "outcome": outcome}


@pytest.mark.parametrize(
    "words",
    [
        ["nothing.py"],
        ["src"],
        ["../x"],
        ["/etc/passwd"],
        [".git/config"],
        [""],
        ["a\nb"],
        ["\x1b[31m"],
        [f"{FILE}:0"],
        [f"{FILE}:9-3"],
        [f"{FILE}:99999"],
        ["--rev", "nothing", FILE],
        ["--rev", "--all", FILE],
        ["--rev", "HEAD", "nothing.py"],
        ["--rev", "HEAD", "src"],
        ["-L", "x", FILE],
        ["--json", "--porcelain", FILE],
    ],
)
def test_what_is_refused_is_told_in_one_line(history: tuple[Repo, History], words: list[str]) -> None:
    done = history[0].relay("blame", *words)
    told = done.json["errors"][0] if "--json" in words else {"message": done.err, "hint": done.err}
    assert done.code == 2 and told["message"].count("\n") <= 1 and told["hint"] and "\x1b" not in done.err


def test_strange_files(repo: Repo) -> None:
    """Names and bytes that git takes and a reader may stumble over; none of them is committed."""
    for name, data in {
        "bin": b"a\0b\n",
        "a:12": b"one\n",
        "-x": b"one\r\ntwo\r\n",
        "ä\tb": "grün\n".encode(),
        "latin": b"gr\xfcn \x1b[31m\n",
        "empty": b"",
        "no-end": b"last",
    }.items():
        (repo.path / name).write_bytes(data)
    (repo.path / "link").symlink_to("app.py")
    assert "is not text" in repo.relay("blame", "bin").err
    assert "is a symbolic link" in repo.relay("blame", "link").err
    for words, texts in (
        (["a:12"], ["one"]),
        (["--", "-x"], ["one", "two"]),
        (["ä\tb"], ["grün"]),
        (["latin"], ["gr\ufffdn \x1b[31m"]),
        (["empty"], []),
        (["no-end"], ["last"]),
    ):
        assert [row["text"] for row in rows(repo.relay("blame", "--json", *words))] == texts
    assert "\x1b" not in repo.relay("blame", "latin").out
    assert repo.relay("blame", "--porcelain", "latin").raw.endswith(b"\tgr\xfcn \x1b[31m\n")
    assert repo.relay("why", "--json", "app.py:1").json["data"]["kind"] == "none"


def test_files_that_are_not_here_are_no_gap(tmp_path: Path) -> None:
    """In a clone without the trees it cannot be known; with a cut history neither. The applied attempt is named."""
    made = History(random.Random(3))
    made.start()
    partial_apply(made)
    env = sealed_environment(tmp_path / "home")
    made.write(tmp_path / "repo", env)
    env |= {"SESSIONS": "refs/heads/relay/*:refs/heads/relay/*", "TREES": "refs/relay/code/*:refs/relay/code/*"}
    repo = Repo(tmp_path / "repo", env)
    before = repo.sh("git status --porcelain; git for-each-ref; git config --list")
    found = rows(repo.relay("blame", FILE, "--json"))
    assert [row["addresses"] for row in found] == [[owner] if owner else [] for _, owner in made.files[FILE]]
    assert repo.sh("git status --porcelain; git for-each-ref; git config --list") == before
    assert (repo.path / ".git/relay/added").exists()
    repo.sh("git clone -q file://$PWD ../clone; git -C ../clone fetch -q origin $SESSIONS")
    clone = Repo(tmp_path / "clone", env)
    done = clone.relay("blame", FILE, "--json")
    data = done.json["data"]
    assert data["without_files"] == data["exchanges"] == 2
    assert {(row["kind"], row["why"]) for row in data["lines"]} == {("unknown", "no-files"), ("none", "older")}
    assert "git fetch REMOTE 'refs/relay/code/*:refs/relay/code/*'" in clone.relay("blame", FILE).err
    clone.git("fetch", "-q", "origin", "refs/relay/code/*:refs/relay/code/*")
    assert [row["addresses"] for row in rows(clone.relay("blame", FILE, "--json"))] == [r["addresses"] for r in found]
    repo.sh("git clone -q --depth 1 file://$PWD ../cut; git -C ../cut fetch -q origin $SESSIONS $TREES")
    cut = rows(Repo(tmp_path / "cut", env).relay("blame", FILE, "--json"))
    assert {row["why"] for row in cut if not row["addresses"]} == {"shallow"}


def test_reports_of_other_tools_are_named_as_theirs(repo: Repo) -> None:
    facts = {"schema_version": "authorship/3.0.0", "sessions": {"s_1": {"agent_id": {"tool": "claude", "model": "x"}}}}
    note = "app.py\n  s_1::t_2 1\n---\n" + json.dumps(facts)
    (repo.path.parent / "note").write_text(note)
    repo.sh("git notes --ref=refs/notes/ai add -F ../note HEAD")
    (row,) = rows(repo.relay("blame", "app.py", "--json"))
    assert (row["kind"], row["other"]) == ("none", "git-ai: claude/x")
    assert "another tool's own report: git-ai: claude/x" in repo.relay("why", "app.py:1").out
    repo.sh("echo more >> app.py; git commit -qam 'more\n\nEntire-Attribution: 73% agent (146/200 lines)'")
    assert "73% agent" in repo.relay("blame", "app.py:2").out
