"""`git relay export --format agent-trace`: records that other tools read, one a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from gitrelay.cli import output
from gitrelay.errors import INTEGRITY, OK
from gitrelay.history import batch
from gitrelay.ledger.ledger import Ledger
from gitrelay.provenance import agenttrace
from gitrelay.provenance.attest import ranges
from gitrelay.report import site

COMMIT: Final = "commit"
EXCHANGE: Final = "exchange"


def export(
    ledger: Ledger, sessions: Sequence[str], rev: str | None, by: str, place: Path | None, *, force: bool, as_json: bool
) -> int:
    """Print the records, or write them to `place`; the exit code. Raises UsageError for wrong words."""
    read = batch.read(ledger, sessions)
    if by == EXCHANGE:
        found = list(agenttrace.by_exchange(ledger, read.exchanges))
    else:
        found = list(
            agenttrace.by_commit(ledger, ranges.commits(ledger.repo, "HEAD" if rev is None else rev), sessions)
        )
    text = "".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in found)
    code = INTEGRITY if read.damaged else OK
    if place is None:
        output.write(text.encode())
    else:
        site.export_text([], read.damaged, text, place, force=force)
    if as_json:
        data = {
            "place": str(place),
            "format": "agent-trace",
            "files": 1,
            "sessions": len(read.sessions),
            "exchanges": len(read.exchanges),
        }
        click.echo(output.envelope("export", code, data, output.damaged_errors(read.damaged)))
        return code
    for error in output.damaged_errors(read.damaged):
        output.say(output.one_line(error["message"], error["hint"]))
    if not found:
        where = "no exchange" if by == EXCHANGE else f"no commit of {rev or 'HEAD'}"
        output.say(f"{where} has lines that the record tells of; 'git relay blame FILE' shows what is known")
    return code
