"""Every rule of a session's branch, checked with plain git and without the code that wrote it.

`assert_valid` is what other tests call after they did something violent: orphan root with the empty
tree, linear, one commit adds one file and changes nothing else, request then response, ids dense, front
matter as the trailers say, authors, the session's worktree clean where there is one, `git fsck` clean.
Only the two parsers are gitrelay's; tests/protocol/test_message.py holds them to the specification.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gitrelay.protocol.message import parse_request, parse_response
from support.repo import Repo

PREFIX = "refs/heads/relay/"
_ONE_SHOT = re.compile(r"[0-9]{8}-[0-9]{4}-[a-z0-9-]+")
_FILE = re.compile(r"(.+)\.(req|res|check|apply)(?:-[0-9]+)?\.md")
_KIND = {"req": "req", "res": "res", "check": "chk", "apply": "apl"}
_FORMAT = "%x02%H%x00%P%x00%T%x00%an <%ae>%x00%s%x00%(trailers:only=true,unfold=true)%x03"


@dataclass(frozen=True)
class Record:
    """One commit of a session: what it added, and what it says."""

    commit: str
    parents: list[str]
    tree: str
    author: str
    subject: str
    trailers: dict[str, str]
    added: list[str]  # raw diff lines


def sessions(repo: Repo) -> list[str]:
    """The names of all sessions that are not archived."""
    refs = _git(repo, "for-each-ref", "--format=%(refname)", PREFIX).decode().splitlines()
    return [ref.removeprefix(PREFIX) for ref in refs]


def assert_all_valid(repo: Repo) -> None:
    for session in sessions(repo):
        assert_valid(repo, session, fsck=False)
    assert_sound(repo)


def assert_valid(
    repo: Repo, session: str, *, fsck: bool = True, pending: bool = False, worktree: bool = True
) -> list[str]:
    """The session holds every rule; returns its ids.

    `pending`: the last request may still wait for its answer. `worktree`: its worktree is to be clean too.
    """
    records = _records(repo, PREFIX + session)
    assert records, f"there is no session {session}"
    _assert_root(repo, session, records[0])
    waiting: str | None = None
    ids: list[str] = []
    for before, record in itertools.pairwise(records):
        where = f"{session}: {record.commit[:12]} {record.subject!r}"
        assert record.parents == [before.commit], f"{where}: not linear"
        assert len(record.added) == 1, f"{where}: changes {record.added}"
        meta, _, name = record.added[0].partition("\t")
        assert re.fullmatch(r":000000 100644 0+ [0-9a-f]+ A", meta), f"{where}: {record.added[0]}"
        found = _FILE.fullmatch(name)
        assert found, f"{where}: adds {name!r}"
        id_, kind = found[1], found[2]
        assert record.subject.startswith(f"{_KIND[kind]} {id_} "), where
        assert record.trailers.get("Relay-Id") == id_, where
        data = _git(repo, "cat-file", "blob", f"{record.commit}:{name}")
        assert data.endswith(b"\n"), where
        if kind == "req":
            assert waiting is None, f"{where}: {waiting} is not answered yet"
            assert id_ in _next_ids(session, ids), f"{where}: ids are not dense: {ids}"
            waiting = id_
            ids.append(id_)
            _assert_request(session, record, data, where)
        elif kind == "res":
            assert waiting == id_, f"{where}: answers {id_}, but {waiting} waits"
            waiting = None
            _assert_response(record, data, where)
        else:
            assert waiting is None and ids and ids[-1] == id_, where
    assert waiting is None or pending, f"{session}: {waiting} has no response"
    if worktree:
        _assert_worktree(repo, session, records[-1].commit)
    if fsck:
        assert_sound(repo)
    return ids


def assert_sound(repo: Repo) -> None:
    """`git fsck` finds nothing, and no lock or temporary file is left among the refs."""
    _git(repo, "fsck", "--full", "--strict", "--no-dangling", "--no-progress")
    common = Path(os.path.join(repo.path, _git(repo, "rev-parse", "--git-common-dir").decode().removesuffix("\n")))
    assert not [p for p in (common / "refs").rglob("*.lock")]


def _assert_root(repo: Repo, session: str, root: Record) -> None:
    empty = _git(repo, "hash-object", "-t", "tree", "--stdin").decode().strip()
    assert root.parents == [] and root.tree == empty and root.added == [], f"{session}: {root}"
    assert root.subject == f"open {session}"
    assert root.trailers == {"Relay-Version": "4"}
    assert re.fullmatch(r"([a-z0-9-]+) <\1@gitrelay\.invalid>", root.author), root.author


def _next_ids(session: str, ids: list[str]) -> list[str]:
    if not ids and _ONE_SHOT.fullmatch(session):
        return [session, "01"]  # a one-shot begins with its own id; a session may have been given such a name
    return [f"{len(ids) + 1:02d}"]


def _assert_request(session: str, record: Record, data: bytes, where: str) -> None:
    request = parse_request(data, session)
    trailers = record.trailers
    assert request.render() == data, where
    assert request.file == f"{trailers['Relay-Id']}.req.md", where
    assert (request.id, request.from_, request.to) == (
        trailers["Relay-Id"],
        trailers["Relay-From"],
        trailers["Relay-To"],
    ), where
    assert record.author == f"{request.from_} <{request.from_}@gitrelay.invalid>", where
    assert record.subject.startswith(f"req {request.id} {request.from_} -> {request.to}: "), where
    assert trailers["Relay-Access"] in ("read", "write", "full"), where
    assert re.fullmatch(r"unborn|[0-9a-f]{40}|[0-9a-f]{64}", trailers["Relay-Head"]), where


def _assert_response(record: Record, data: bytes, where: str) -> None:
    response = parse_response(data)
    trailers = record.trailers
    assert (response.re, response.from_, response.to, response.status, response.verify) == (
        trailers["Relay-Id"],
        trailers["Relay-From"],
        trailers["Relay-To"],
        trailers["Relay-Status"],
        trailers["Relay-Verify"],
    ), where
    assert response.reason == trailers.get("Relay-Reason"), where
    assert trailers["Relay-Recorded"] in ("peer", "gitrelay"), where
    assert trailers["Relay-Recorded"] == "peer" or response.reason, where
    assert record.author == f"{response.from_} <{response.from_}@gitrelay.invalid>", where
    assert record.subject == (
        f"res {response.re} {response.from_} -> {response.to}: {response.status}, verify {response.verify}"
    ), where
    assert re.fullmatch(r"unborn|[0-9a-f]{40}|[0-9a-f]{64}", trailers["Relay-Head"]), where


def _assert_worktree(repo: Repo, session: str, tip: str) -> None:
    """Where the branch is checked out: a folder named for it, byte for byte what the branch holds."""
    listing = _git(repo, "worktree", "list", "--porcelain").decode("utf-8", "surrogateescape")
    places = []
    for block in listing.split("\n\n"):
        lines = block.splitlines()
        if f"branch {PREFIX}{session}" in lines:
            places.append(Path(lines[0].removeprefix("worktree ")))
    assert len(places) <= 1, places
    for place in places:
        if not place.exists():
            continue  # somebody removed it; the next turn brings it back
        assert place.name == session
        files = {p.name: p.read_bytes() for p in place.iterdir() if p.name != ".git"}
        names = _git(repo, "ls-tree", "-z", "--name-only", tip).decode().split("\0")[:-1]
        assert sorted(files) == sorted(names), place
        for name, data in files.items():
            assert data == _git(repo, "cat-file", "blob", f"{tip}:{name}"), place / name
        changes = _git(repo, "-C", str(place), "status", "--porcelain", "--ignored", "--untracked-files=all")
        assert changes == b"", changes


def _records(repo: Repo, ref: str) -> list[Record]:
    args = ("--reverse", "--topo-order", "--root", "--raw", "--no-abbrev", "--no-renames", f"--format={_FORMAT}")
    out = _git(repo, "log", *args, ref, "--").decode()
    records = []
    for row in out.split("\x02")[1:]:
        head, _, diff = row.partition("\x03")
        commit, parents, tree, author, subject, trailers = head.split("\0")
        pairs = [line.partition(": ") for line in trailers.splitlines() if line]
        assert len({key for key, _, _ in pairs}) == len(pairs), f"{subject}: a trailer stands twice: {trailers}"
        records.append(
            Record(
                commit,
                parents.split(),
                tree,
                author,
                subject,
                {key: value for key, _, value in pairs},
                [line for line in diff.splitlines() if line],
            )
        )
    return records


def _git(repo: Repo, *args: str) -> bytes:
    """stdout of git, without hooks and without refreshing anybody's index."""
    done = subprocess.run(
        [
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.quotePath=false",
            "-c",
            "trailer.separators=:",
            "-c",
            "core.commentChar=#",
            *args,
        ],
        cwd=repo.path,
        env={**repo.env, "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, f"git {args}: {done.stderr.decode('utf-8', 'replace')}"
    return done.stdout
