"""What a caller wants of its peers, as the words were typed: one value from the verb to the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from gitrelay.calls.settings import Given
from gitrelay.ground.value import dataclass


@dataclass(frozen=True)
class Alone:
    """Run with the files of `tree` in an empty repository (`workspace.alone`), in place of the caller's.

    `session` and `commit`, if it is one of several turns: what was said before, the messages in a commit of a session.
    `below` is the folder that the peer is started in, from the top, in place of the order's `cwd`.
    """

    tree: str
    session: str = ""
    commit: str = ""
    below: str = ""

    @property
    def context(self) -> str:
        """The line of the request that says where the earlier turns are, '' if there are none."""
        return f"Context: read all .md files in .relay/{self.session}/ in order first\n" if self.commit else ""

    @property
    def earlier(self) -> str:
        return f"{self.session} {self.commit}" if self.commit else ""


@dataclass(frozen=True)
class Order:
    """One request to one peer, or the same to several. `plan.make` checks it; nothing else does.

    `session` continues or opens a session; without it the call is a one-shot called `name`. `key` makes a call
    idempotent. `questions` False tells the peer to decide by itself. `invoke` False only records. `binding` are
    trailers that bind the request to commits (`record.BINDING`) of the branch `bound`; its answer repeats them. If it
    is isolated, the workspace has the files of the commit `at`, if that is given, and not those of the caller. `cwd` is
    the folder that the peer is started in, from the current one; without it that is the top.
    `alone` is for a request that is asked again. `context` are the addresses of earlier exchanges that are handed to
    the peer.
    """

    task: str
    to: tuple[str, ...]
    from_: str | None = None
    session: str | None = None
    name: str | None = None
    files: tuple[str, ...] = ()
    given: Given = field(default_factory=Given)
    key: str | None = None
    questions: bool = True
    invoke: bool = True
    binding: Mapping[str, str] = field(default_factory=dict)
    bound: str = ""
    at: str = ""
    cwd: str | None = None
    alone: Alone | None = None
    context: tuple[str, ...] = ()
