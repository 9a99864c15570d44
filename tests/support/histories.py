"""Scripted histories of one repository, with the truth of each line: which exchange wrote it, or none.

The truth is kept next to the text while the history is made, so that each step says what it means for the ownership.
Commits, the trees of exchanges and the sessions are all written by one `git fast-import`; a rebase, a squash or a
cherry-pick is written as the commits that it leaves. Times are made up, a minute for each step.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.recorded import GITLINK, Recorder, Session, encoded

BEGIN = 1_790_000_000
FILE = "src/app.py"
BOILERPLATE = ("", "}", "    }", "try:", "else:", "    return None", "    pass", "import os", "#")
WORDS = (
    "parser",
    "token",
    "queue",
    "reader",
    "writer",
    "batch",
    "index",
    "cache",
    "header",
    "socket",
    "thread",
    "ledger",
)
Owned = tuple[
    str, str | None
]  # the text of a line, and the address of the exchange that wrote it, `a/01|b/01` of several


@dataclass
class History:
    """A repository as it is being made. `files` are the files of the working tree now."""

    chance: random.Random
    recorder: Recorder = field(default_factory=Recorder)
    files: dict[str, list[Owned]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    commits: int = 0
    now: int = BEGIN
    serial: int = 0
    end: str = "\n"
    open_end: bool = False  # the last line of a file has no end
    others: dict[str, str] = field(default_factory=dict)  # files that are in every tree as they are

    # -- text ---------------------------------------------------------------------------------------

    def line(self) -> str:
        """A line as code has it: one in four says next to nothing."""
        if self.chance.random() < 0.28:
            return self.chance.choice(BOILERPLATE)
        self.serial += 1
        name, other = self.chance.sample(WORDS, 2)
        forms = (
            "    {a}_{n} = load({b!r}, {n})",
            "    if {a}.{b}_{n}:",
            "def {a}_{b}_{n}({b}):",
            "    {a}.{b}({n}, {a!r})",
        )
        return self.chance.choice(forms).format(a=name, b=other, n=self.serial)

    def block(self, owner: str | None, least: int = 2, most: int = 9) -> list[Owned]:
        lines = [(self.line(), owner) for _ in range(self.chance.randint(least, most))]
        return lines if any(len(text) > 12 for text, _ in lines) else [*lines, (self.unique(), owner)]

    def unique(self) -> str:
        self.serial += 1
        return f"    {self.chance.choice(WORDS)}_value_{self.serial} = compute({self.serial})"

    def texts(self, files: Mapping[str, Sequence[Owned]] | None = None) -> dict[str, str]:
        """The files as they are written: the lines of each, and what no kind looks at."""
        found = {path: "".join(text + self.end for text, _ in lines) for path, lines in (files or self.files).items()}
        if self.open_end:
            found = {path: text.removesuffix(self.end) for path, text in found.items()}
        return found | self.others

    def copy(self) -> dict[str, list[Owned]]:
        return {path: list(lines) for path, lines in self.files.items()}

    # -- steps --------------------------------------------------------------------------------------

    def start(self, lines: int = 30) -> None:
        self.files = {FILE: [(self.line(), None) for _ in range(lines)], "README": [("read me first, please", None)]}
        self.commit("begin")

    def commit(self, subject: str = "work", *, branch: str = "main", begin: str = "", merged: str = "") -> None:
        """A commit of the files as they are now; `begin`: where its branch begins, `merged`: another parent."""
        self.now += 60
        self.commits += 1
        files = {path: encoded(text) for path, text in self.texts().items()}
        parents = f"from refs/heads/{begin}\n" * bool(begin) + f"merge refs/heads/{merged}\n" * bool(merged)
        self.recorder.add(f"refs/heads/{branch}", "uma", self.now, f"{subject}\n", files, anew=True, parents=parents)

    def exchange(
        self,
        session: str,
        work: Callable[[str], None],
        *,
        trailers: Mapping[str, str] | None = None,
        seconds: int = 30,
        keep: bool = True,
    ) -> str:
        """An exchange in which the peer does `work(address)`; with `keep` false the tree is as before afterwards."""
        self.now += 60
        known = session in self.sessions
        one = self.sessions[session] if known else self.recorder.session(session, "claude", at=self.now)
        self.sessions[session] = one
        one.at = self.now
        before = self.copy()
        address = f"{session}/{one.turn + 1:02d}"
        one.ask("claude", "codex", f"do the work of {address}", self.texts(), trailers)
        work(address)
        self.now += seconds
        one.at = self.now - seconds
        one.answer("it is done", "done", "pass", self.texts(), seconds=seconds, trailers=trailers)
        if not keep:
            self.files = before
        return address

    def exchanges_at_once(self, first: str, second: str, works: Sequence[Callable[[str], None]]) -> None:
        """Two exchanges in one tree: the first is answered before the second does its work."""
        self.now += 60
        both = []
        for name in (first, second):
            one = self.recorder.session(name, "claude", at=self.now)
            self.sessions[name] = one
            one.ask("claude", "codex", f"do the work of {name}/01", self.texts())
            both.append(one)
        for one, work in zip(both, works, strict=True):
            work(f"{one.name}/01")
            self.now += 20
            one.at = self.now
            one.answer("it is done", "done", "pass", self.texts(), seconds=0)

    def apply(self, address: str, changed: Mapping[str, Sequence[Owned]]) -> None:
        """Bring in what an exchange left aside, and record it."""
        session, id_ = address.split("/")
        one = self.sessions[session]
        self.now += 60
        one.at = self.now
        tree = one._tree(self.texts(), "apply")
        one.commit(
            "uma", f"apl {id_} onto {tree}: applied", {"Relay-Id": id_, "Relay-Tree": tree}, f"{id_}.apply.md", b"-"
        )
        self.files = {path: list(lines) for path, lines in changed.items()}

    # -- edits --------------------------------------------------------------------------------------

    def insert(self, owner: str | None, path: str = FILE, least: int = 2, most: int = 9) -> tuple[int, int]:
        """A new block somewhere; (where it begins, how long it is)."""
        lines = self.files.setdefault(path, [])
        at = self.chance.randint(0, len(lines))
        around = [text for text, _ in lines[max(0, at - 1) : at + 1]]
        block = self.block(owner, least, most)
        while any(text in around for text, _ in block):  # put in a line higher it could leave the same bytes
            block = self.block(owner, least, most)
        lines[at:at] = block
        return at, len(block)

    def replace(self, owner: str | None, path: str = FILE, count: int = 3) -> None:
        lines = self.files[path]
        at = self.chance.randint(0, max(0, len(lines) - count))
        lines[at : at + count] = [(self.unique(), owner) for _ in range(count)]

    def remove(self, path: str = FILE, count: int = 2) -> None:
        lines = self.files[path]
        at = self.chance.randint(0, max(0, len(lines) - count))
        del lines[at : at + count]

    def inserting(self, path: str = FILE, times: int = 1, least: int = 2, most: int = 9) -> Callable[[str], None]:
        """The work of a peer that inserts so many blocks."""

        def work(owner: str) -> None:
            for _ in range(times):
                self.insert(owner, path, least, most)

        return work

    def some(self, owner: str | None) -> None:
        """What a peer or a person does to a file."""
        self.insert(owner)
        if self.chance.random() < 0.5:
            self.replace(owner)
        if self.chance.random() < 0.3:
            self.remove()

    def write(self, folder: Path, env: Mapping[str, str]) -> None:
        """Write it all, and check the files out."""
        self.recorder.write(folder, env)
        for path, text in self.texts().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if not text.startswith(GITLINK):
                (folder / path).write_bytes(encoded(text))
        subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/main"], env=dict(env), check=True)
        subprocess.run(["git", "-C", str(folder), "read-tree", "HEAD"], env=dict(env), check=True)


def made(kind: Callable[[History], str], seed: int) -> tuple[History, str]:
    """(the history, the file that is asked for)."""
    history = History(random.Random(f"{kind.__name__} {seed}"))
    history.start()
    return history, kind(history)
