"""Agent Trace records (github.com/cursor/agent-trace, version 0.1.0): which lines which exchange wrote.

By commit: the lines that a commit brought, attributed by `blame`, at their numbers in that commit, as readers look them
up. By exchange: the lines that it added, at the commit that keeps its files. A line of which the record does not tell
is in no range; nobody is called human. What is ours alone is in `metadata`, because the format has no other place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from gitrelay import __version__
from gitrelay.errors import UsageError
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import registry
from gitrelay.peers.shell import Shell
from gitrelay.protocol.record import CODE
from gitrelay.provenance.lines import blame, files, searching, treediff
from gitrelay.provenance.lines.blame import Record

VERSION: Final = "0.1.0"
_OWN: Final = "org.gitrelay"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "git:relay")
# how a model's name begins -> its provider, as models.dev calls it
_PROVIDERS: Final = (
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("codex", "openai"),
    ("gemini", "google"),
    ("qwen", "alibaba"),
)

Trace = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A line that exchanges wrote: its number from 1, its text, and which; of several, none is picked."""

    number: int
    text: bytes
    writers: tuple[Exchange, ...]


def by_commit(ledger: Ledger, commits: Sequence[str], sessions: Sequence[str] = ()) -> Iterator[Trace]:
    """A record for each of `commits` that brought lines of exchanges; of these `sessions` only, if there are any."""
    if not commits:
        return
    record = blame.read(ledger)
    for commit in commits:
        found = {}
        for path in _changed(ledger.repo, commit):
            lines = _of_commit(ledger, commit, path, record)
            if sessions:
                lines = [one for one in lines if any(e.address.session in sessions for e in one.writers)]
            if lines:
                found[path] = lines
        if found:
            yield _record(commit, _time_of(ledger.repo, commit), commit, found)


def _changed(repo: Repository, commit: str) -> list[str]:
    """The files that a commit changed against its first parent."""
    words = ("--root", "-r", "-z", "-m", "--first-parent", "--no-renames", "--diff-filter=AM", "--name-only")
    out = repo.run("diff-tree", "--no-commit-id", *words, commit)
    return list(dict.fromkeys(os.fsdecode(name) for name in out.split(b"\0") if name))


def _of_commit(ledger: Ledger, commit: str, path: str, record: Record) -> list[Line]:
    """The lines of a file that this commit brought and exchanges wrote; none of a binary or a huge one."""
    with contextlib.suppress(UsageError):
        file = files.of_commit(ledger.repo, commit, path)
        with files.looking(ledger.repo, file) as looked:
            report = blame.blame(ledger, file, looked, record)
        return [
            Line(one.number, one.line.data, one.exchanges)
            for one in report.lines
            if one.exchanges and one.line.commit.oid == commit
        ]
    return []


def _time_of(repo: Repository, commit: str) -> int:
    return int(repo.run("log", "-1", "--format=%ct", commit).decode().strip() or 0)


def by_exchange(ledger: Ledger, exchanges: Sequence[Exchange]) -> Iterator[Trace]:
    """A record for each exchange that added lines and whose files are in this clone."""
    pairs = {}
    for e in exchanges:
        if e.response is not None and e.request.tree and e.response.tree:
            pairs[e.address] = (e.request.tree, e.response.tree)
    there = treediff.readable(ledger.repo, list(dict.fromkeys(pairs.values())))
    patches = treediff.read(ledger.repo, there, lambda p: list(searching.rows(p)), around=0, largest=searching.LARGEST)
    kept: dict[str, dict[str, str]] = {}
    for e in exchanges:
        added = [row for row in patches.get(pairs.get(e.address, ("", "")), ()) if row.sign == "+"]
        if not added or e.response is None:
            continue
        session = e.address.session
        if session not in kept:
            kept[session] = _kept(ledger.repo, session)
        revision = kept[session].get(pairs[e.address][1])
        if revision is None:
            continue
        found: dict[str, list[Line]] = {}
        for row in added:
            found.setdefault(os.fsdecode(row.path), []).append(Line(row.number, row.text.removesuffix(b"\r"), (e,)))
        yield _record(f"{e.address} {pairs[e.address][1]}", e.response.time, revision, found)


def _kept(repo: Repository, session: str) -> dict[str, str]:
    """tree -> the commit of the session's code ref that keeps it."""
    try:
        out = repo.run("log", "--format=%T %H", CODE + session, "--").decode()
    except GitError:
        return {}
    return dict(line.split(" ") for line in out.splitlines())


def _record(name: str, time: int, revision: str, found: dict[str, list[Line]]) -> Trace:
    writers = {e.address: e for lines in found.values() for one in lines for e in one.writers}
    return {
        "version": VERSION,
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "timestamp": datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "vcs": {"type": "git", "revision": revision},
        "tool": {"name": "git-relay", "version": __version__},
        "files": [{"path": _utf8(path), "conversations": _conversations(lines)} for path, lines in found.items()],
        "metadata": {_OWN: {"exchanges": [_exchange(e) for e in writers.values()]}},
    }


def _conversations(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines by who wrote them, each run of lines as a range."""
    by: dict[tuple[str, ...], tuple[tuple[Exchange, ...], list[Line]]] = {}
    for one in lines:
        by.setdefault(tuple(str(e.address) for e in one.writers), (one.writers, []))[1].append(one)
    return [_conversation(writers, own) for writers, own in by.values()]


def _conversation(writers: Sequence[Exchange], lines: Sequence[Line]) -> dict[str, Any]:
    value: dict[str, Any] = {"contributor": _contributor(writers)}
    if len(writers) == 1:
        value["url"] = _url(writers[0])
    else:  # each of them added this text
        value["related"] = [{"type": "candidate", "url": _url(e)} for e in writers]
    return value | {"ranges": list(_ranges(lines))}


def _ranges(lines: Sequence[Line]) -> Iterator[dict[str, Any]]:
    for _, group in groupby(enumerate(lines), lambda pair: pair[1].number - pair[0]):
        run = [line for _, line in group]
        digest = hashlib.sha256(b"\n".join(line.text for line in run)).hexdigest()
        yield {"start_line": run[0].number, "end_line": run[-1].number, "content_hash": f"sha256:{digest}"}


def _contributor(writers: Sequence[Exchange]) -> dict[str, str]:
    """`ai` if all of them are agents; `unknown` for a command (`shell`) or a program that tells of no model."""
    kind = "ai" if all(_is_agent(e) for e in writers) else "unknown"
    models = {model_id(e.response.model or "") if e.response else "" for e in writers}
    model = models.pop() if len(models) == 1 else ""
    return {"type": kind} | ({"model_id": model} if model else {})


def _is_agent(e: Exchange) -> bool:
    told = e.response is not None and bool(e.response.model)
    return told or (e.to in registry.BUILT_IN and e.to != Shell.name)


def model_id(model: str) -> str:
    """`provider/model` as models.dev has it, '' if the provider of `model` is not known."""
    if len(model) > 200 or not model.isprintable():
        return ""
    if "/" in model:
        return model
    provider = next((name for begin, name in _PROVIDERS if model.lower().startswith(begin)), "")
    return f"{provider}/{model}" if provider else ""


def _exchange(e: Exchange) -> dict[str, Any]:
    return {
        "address": str(e.address),
        "peer": e.to,
        "outcome": e.outcome,
        "checked": e.checked,
        "before_tree": e.request.tree,
        "after_tree": e.response.tree if e.response else None,
        "checks": [{"command": check.command, "result": check.word} for check in e.checks],
    }


def _url(e: Exchange) -> str:
    return f"git:relay/{e.address}"


def _utf8(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
