"""Fetches that would delete sessions: a refspec that writes where sessions are, on a remote that is pruned."""

from __future__ import annotations

from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import BRANCHES

_OURS = (BRANCHES, "refs/relay/")


@dataclass(frozen=True)
class Danger:
    """A remote's refspec that covers sessions. `prunes`: a plain `git fetch` deletes those that the remote lacks."""

    remote: str
    refspec: str
    prunes: bool

    @property
    def words(self) -> str:
        does = "deletes sessions that it does not have" if self.prunes else "with --prune deletes sessions"
        return f"'git fetch {self.remote}' {does} ({quote(self.refspec)})"

    @property
    def fix(self) -> str:
        return f"git config remote.{self.remote}.prune false; or fetch branches only, as a clone without --mirror does"


def dangers(repo: Repository) -> list[Danger]:
    """The refspecs of remotes that a fetch may delete sessions by. No network, no ref is read."""
    found = []
    for name, values in repo.config.items():
        if not (name.startswith("remote.") and name.endswith(".fetch")):
            continue
        remote = name.removeprefix("remote.").removesuffix(".fetch")
        own = repo.flag(f"remote.{remote}.prune")
        prunes = bool(repo.flag("fetch.prune") if own is None else own)
        for refspec, _ in values:
            target = refspec.removeprefix("+").partition(":")[2].partition("*")[0]
            everything = target in ("refs/", "refs/heads/")
            if target and (everything or prunes) and any(_overlap(target, ours) for ours in _OURS):
                found.append(Danger(remote, refspec, prunes))
    return found


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def told_once(ledger: Ledger) -> list[str]:
    """One line for each remote whose plain fetch deletes sessions, the first time that it is asked for."""
    said = []
    for danger in dangers(ledger.repo):
        if danger.prunes and ledger.state.is_new(danger.words):
            said.append(f"{danger.words}; {danger.fix}")
    return said
