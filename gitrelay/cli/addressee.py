"""Who is asked, as people type it: `--to codex`, `codex "TASK"`, or `relay.to`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click


def split(to: Sequence[str], words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the peers, the words of the task) out of `--to` and `[PEER] [TASK]`. Raises UsageError."""
    if to:
        return tuple(to), tuple(words)

    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.peers import registry

    repo = open_ledger(Path.cwd()).repo
    known = {*registry.BUILT_IN, *registry.configured(repo)}
    first = words[0] if words else ""
    if first in known and len(words) > 2:
        task = " ".join(words[1:])[:60]
        raise click.UsageError(f'TASK is one word: quote it, as in git relay req {first} "{task}"')
    if first in known or len(words) == 2:
        registry.find(repo, first)  # raises for one that is not known
        return (first,), tuple(words[1:])
    default = repo.setting("relay.to")
    if default is not None:
        registry.find(repo, default)
        return (default,), tuple(words)
    task = shlex.quote(first[:40]) if len(words) == 1 else "TASK"
    raise click.UsageError(f"--to is missing: git relay req codex {task}, or once: git config relay.to codex")
