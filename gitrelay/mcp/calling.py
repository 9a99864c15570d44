"""What each tool does: the verbs that it runs, with words that a client can neither add options to nor widen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gitrelay import environment
from gitrelay.errors import RelayError
from gitrelay.ground import duration
from gitrelay.ground.value import dataclass
from gitrelay.mcp import commands, results
from gitrelay.mcp.bounds import Bounds
from gitrelay.mcp.commands import Envelope, Stopped, Waiting
from gitrelay.protocol.words import Access

_SLACK: Final = 20.0  # seconds that a waiting verb gets above the time it waits


@dataclass(frozen=True)
class Task:
    """One tool call: its checked arguments, where it is made, who makes it, and the wait that may be ended."""

    arguments: Mapping[str, Any]
    bounds: Bounds
    environ: Mapping[str, str]
    caller: str | None
    client: Access  # what the client's own sandbox lets it do
    waiting: Waiting

    @property
    def folder(self) -> Path:
        return self.bounds.folder(self.arguments.get("folder"))

    def run(self, verb: str, *words: str, **given: Any) -> Envelope:
        return commands.run(self.folder, self._held(), verb, *words, **given)

    def _held(self) -> Mapping[str, str]:
        """The environment, with no more access than the client itself has."""
        if self.client is Access.FULL:
            return self.environ
        before = Access(self.environ.get(environment.ACCESS, Access.FULL))
        return {**self.environ, environment.ACCESS: min(before, self.client, key=lambda one: one.rank)}

    def seconds(self) -> float:
        """How long to wait: what is asked for, and never more than the server may."""
        asked = self.arguments.get("wait")
        limit = None if asked is None else duration.parse_limit(asked, "wait")
        if asked is not None and limit is None:
            return 0.0 if asked.strip() == "0" else self.bounds.wait
        return min(limit or self.bounds.wait, self.bounds.wait)


def perform(name: str, task: Task) -> tuple[dict[str, Any], str]:
    """(structured content, text) of a tool call. Raises RelayError, Stopped."""
    return _TOOLS[name](task)


def _call(task: Task) -> tuple[dict[str, Any], str]:
    given, seconds = task.arguments, task.seconds()
    access = task.bounds.access(task.folder, given["to"], given.get("access"), task.client)
    words = ["--detach", f"--to={given['to']}", f"--access={access}"]
    words += [f"--{name}={given[name]}" for name in ("session", "name", "key") if name in given]
    words += [f"--from={task.caller}"] if task.caller else []
    if "isolate" in given:
        words.append("--isolate" if given["isolate"] else "--shared")
    for name, option in (("checks", "check"), ("budget", "budget")):
        words += [f"--{option}={item}" for item in given.get(name, ())]
    words += [f"--context={item}" for item in given.get("context", ())]
    words += [f"--file={item}" for item in task.bounds.files(task.folder, given.get("files", ()))]
    begun = task.run("req", *words, "--", "-", text=given["task"])
    return _waited(task, seconds, begun.data["address"], begun.notes)


def _wait(task: Task) -> tuple[dict[str, Any], str]:
    return _waited(task, task.seconds(), task.arguments["address"], ())


def _waited(task: Task, seconds: float, address: str, notes: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The exchange once it is answered, pending after so many seconds."""
    if seconds <= 0 or task.waiting.stopped:
        return _shown(task, address, notes)
    words = (f"--timeout={seconds:.3f}s", "--", address)
    try:
        found = task.run("wait", *words, limit=seconds + _SLACK, waiting=task.waiting)
    except Stopped:
        return _shown(task, address, notes)
    return _exchange(task, found, notes)


def _show(task: Task) -> tuple[dict[str, Any], str]:
    return _shown(task, task.arguments["address"], (), task.arguments.get("offset", 0))


def _shown(task: Task, address: str, notes: Sequence[str], offset: int = 0) -> tuple[dict[str, Any], str]:
    return _exchange(task, task.run("show", "--", address), notes, offset)


def _cancel(task: Task) -> tuple[dict[str, Any], str]:
    return _exchange(task, task.run("cancel", "--", task.arguments["address"]), ())


def _answer(task: Task) -> tuple[dict[str, Any], str]:
    seconds = task.seconds()
    begun = task.run("answer", "--detach", "--", task.arguments["address"], "-", text=task.arguments["text"])
    return _waited(task, seconds, begun.data["address"], begun.notes)


def _exchange(task: Task, found: Envelope, notes: Sequence[str], offset: int = 0) -> tuple[dict[str, Any], str]:
    """The last exchange of the envelope, with the files that it changed."""
    rows = found.data if isinstance(found.data, list) else [found.data]
    if not rows:
        raise commands.Failed("nothing is recorded there yet")
    row = rows[-1]
    value = results.of_exchange(row, _changed(task, row), (*notes, *found.notes), offset)
    return value, results.text_of_exchange(value)


def _changed(task: Task, row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The files that differ between the request and the answer; none if that is not recorded."""
    if row["status"] == "pending" or row["access"] == Access.READ:
        return ()
    try:
        files: Sequence[Mapping[str, Any]] = task.run("diff", "--", row["address"]).data["files"]
    except RelayError:
        return ()
    return files


def _list(task: Task) -> tuple[dict[str, Any], str]:
    words = ["--open"] if task.arguments.get("open") else []
    words += [f"--since={task.arguments['since']}"] if "since" in task.arguments else []
    found = task.run("ls", *words)
    value = results.of_sessions(found.data, ())
    return value, results.text_of_sessions(value)


_TOOLS: Final[dict[str, Callable[[Task], tuple[dict[str, Any], str]]]] = {
    "relay_call": _call,
    "relay_wait": _wait,
    "relay_show": _show,
    "relay_list": _list,
    "relay_cancel": _cancel,
    "relay_answer": _answer,
}
