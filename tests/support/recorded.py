"""Sessions as calls record them, with texts, times and files of one's own choice: written by one `git fast-import`.

    history = Recorder()
    session = history.session("parser-port", "claude", at=1_790_000_000)
    session.ask("claude", "codex", "port it", {"parser.py": "..."})
    session.answer("done", "pass", {"parser.py": "..."}, seconds=12.5, trailers={"Relay-Model": "m"})
    history.write(folder, env)

For pages, which are looked at with hostile texts that no call would record, and for pictures of them.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.message import Request, Response, check_file

Files = Mapping[str, str]
GITLINK = "gitlink "  # begins what is no file but the commit of a submodule
USER = "Uma User <uma@example.invalid>"


class Recorder:
    """A stream for `git fast-import`. Times are seconds since the epoch, in UTC."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def session(self, name: str, caller: str, *, at: int, archived: bool = False) -> Session:
        """Open a session."""
        branch = f"refs/{'relay/archive' if archived else 'heads/relay'}/{name}"
        made = Session(self, name, branch, at)
        made.commit(caller, f"open {name}", {"Relay-Version": "4"}, "", b"")
        return made

    def add(
        self, ref: str, author: str, at: int, text: str, files: Mapping[str, bytes], *, anew: bool, parents: str = ""
    ) -> None:
        """A commit; `parents` are lines of fast-import, `from REF` and `merge REF`."""
        data = text.encode()
        head = f"commit {ref}\nauthor {author} <{author}@gitrelay.invalid> {at} +0000\ncommitter {USER} {at} +0000\n"
        self._pieces.append(head.encode() + b"data %d\n%s\n" % (len(data), data) + parents.encode())
        if anew:
            self._pieces.append(b"deleteall\n")
        for name, content in files.items():
            # in C's quotes, as a name may hold anything
            quoted = "".join(
                c if c.isalnum() or c in "/._-" else "".join(f"\\{b:03o}" for b in c.encode()) for c in name
            )
            if content.startswith(GITLINK.encode()):
                self._pieces.append(b'M 160000 %s "%s"\n' % (content.removeprefix(GITLINK.encode()), quoted.encode()))
                continue
            self._pieces.append(b'M 100644 inline "%s"\ndata %d\n%s\n' % (quoted.encode(), len(content), content))

    def write(self, folder: Path, env: Mapping[str, str]) -> None:
        """Make the repository `folder` where it is none, and put everything into it."""
        subprocess.run(["git", "init", "-q", "--", str(folder)], env=dict(env), check=True)
        importer = ["git", "-C", str(folder), "fast-import", "--quiet", "--date-format=raw"]
        subprocess.run(importer, env=dict(env), input=b"".join(self._pieces), check=True)


@dataclass
class Session:
    """A session that is being written; `at` is the time of its next commit."""

    history: Recorder
    name: str
    branch: str
    at: int
    turn: int = 0
    checks: int = 0
    files: dict[str, str] = field(default_factory=dict)
    asked: tuple[str, str] = ("", "")

    @property
    def id(self) -> str:
        return f"{self.turn:02d}"

    def ask(
        self, caller: str, peer: str, task: str, files: Files | None = None, trailers: Files | None = None
    ) -> Session:
        """A request; `files` are the caller's whole tree then, where it is another one than before."""
        self.turn, self.checks, self.asked = self.turn + 1, 0, (caller, peer)
        first = task.strip().split("\n")[0][:60].rstrip()
        subject = f"req {self.id} {caller} -> {peer}: {first}"
        says = {"Relay-Id": self.id, "Relay-From": caller, "Relay-To": peer, "Relay-Head": "unborn"}
        says |= {"Relay-Access": "write", "Relay-Tree": self._tree(files, subject)}
        request = Request(self.id, caller, peer, task, self.name)
        self.commit(caller, subject, says | dict(trailers or {}), request.file, request.render())
        return self

    def answer(
        self,
        body: str,
        status: str = "done",
        verify: str = "pass",
        files: Files | None = None,
        *,
        seconds: float = 10.0,
        reason: str | None = None,
        trailers: Files | None = None,
        data: bytes | None = None,
    ) -> Session:
        """The response, `seconds` after the request; `data` stands for it as it is."""
        caller, peer = self.asked
        self.at += round(seconds)
        response = Response(self.id, peer, caller, status, verify, body, reason)
        subject = f"res {self.id} {peer} -> {caller}: {status}, verify {verify}"
        says = {"Relay-Id": self.id, "Relay-From": peer, "Relay-To": caller, "Relay-Status": status}
        says |= {"Relay-Verify": verify, **({"Relay-Reason": reason} if reason else {}), "Relay-Head": "unborn"}
        says |= {"Relay-Recorded": "gitrelay" if reason else "peer", "Relay-Duration": f"{seconds:.1f}"}
        says |= {**(trailers or {}), "Relay-Tree": self._tree(files, subject)}
        self.commit(peer, subject, says, response.file, response.render() if data is None else data)
        return self

    def check(self, command: str, word: str = "pass", output: str = "", seconds: float = 2.0) -> Session:
        """A check's result, `seconds` after what it checks."""
        self.checks += 1
        self.at += round(seconds)
        tree = tree_of({name: encoded(text) for name, text in self.files.items()})
        data = CheckResult(command, word, seconds, output).render(self.id, tree)
        says = {"Relay-Id": self.id, "Relay-Check": f"{word}: {command}", "Relay-Tree": tree}
        self.commit("gitrelay", f"chk {self.id} {word}: {command}", says, check_file(self.id, self.checks), data)
        return self

    def commit(self, author: str, subject: str, trailers: Files, file: str, data: bytes) -> None:
        text = f"{subject}\n\n" + "".join(f"{key}: {value}\n" for key, value in trailers.items())
        self.history.add(self.branch, author, self.at, text, {file: data} if file else {}, anew=False)
        self.at += 1

    def _tree(self, files: Files | None, subject: str) -> str:
        """Keep the caller's files on the session's code ref, as a snapshot does; their tree."""
        if files is not None:
            self.files = dict(files)
        content = {name: encoded(text) for name, text in self.files.items()}
        self.history.add(f"refs/relay/code/{self.name}", "gitrelay", self.at, subject + "\n", content, anew=True)
        return tree_of(content)


def encoded(text: str) -> bytes:
    """The bytes of a file; a lone surrogate in `text` is a byte that is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def tree_of(files: Mapping[str, bytes]) -> str:
    """The id of the git tree that holds these files; `/` in a name is a folder."""
    below: dict[str, dict[str, bytes]] = {}
    entries: list[tuple[bytes, bytes]] = []
    for name, content in files.items():
        first, slash, rest = name.partition("/")
        if slash:
            below.setdefault(first, {})[rest] = content
        else:
            if content.startswith(GITLINK.encode()):
                oid = bytes.fromhex(content.decode().removeprefix(GITLINK))
                entries.append((name.encode(), b"160000 %s\0" % name.encode() + oid))
                continue
            entries.append((name.encode(), b"100644 %s\0" % name.encode() + _digest("blob", content)))
    for name, inner in below.items():
        entry = b"40000 %s\0" % name.encode() + bytes.fromhex(tree_of(inner))
        entries.append((name.encode() + b"/", entry))  # git sorts a folder as if it ended so
    return _digest("tree", b"".join(entry for _, entry in sorted(entries))).hex()


def _digest(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(data)}".encode() + b"\0" + data).digest()
