"""`git relay why`: the exchange behind one line."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import UsageError
from gitrelay.ground.text import quote

if TYPE_CHECKING:
    from gitrelay.history.exchange import Exchange
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.provenance.lines.annotated import Commit
    from gitrelay.provenance.lines.blame import Blamed


@click.command("why")
@click.option("--rev", metavar="COMMIT", help="The file as it is in this commit; default: the working file.")
@click.option("--line", "-L", "range_", metavar="N", help="The line; as FILE:N.")
@json_option
@click.argument("file", metavar="FILE:N", shell_complete=candidates.files)
def command(file: str, rev: str | None, range_: str | None, as_json: bool) -> int:
    """Show the exchange that wrote a line: task, answer, checks, reviews.

    Last comes the commit that git blames for the line. If several exchanges added the same text, each of
    them is shown; if none did, it says so, and what is known instead.
    """
    from gitrelay.cli import blaming, output
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.provenance.lines import blame, files, others
    from gitrelay.provenance.lines.reviews import Reviews
    from gitrelay.report.files import page_of

    ledger = open_ledger(Path.cwd())
    name, lines = files.split(file, Path.cwd()) if range_ is None else (file, files.range_of(range_))
    if lines is None or lines[0] != lines[1]:
        raise UsageError(f"{quote(file)} names no single line", hint=f"git relay why {shlex.quote(name)}:12")
    opened = files.opened(ledger.repo, Path.cwd(), name, rev)
    with files.looking(ledger.repo, opened) as looked:
        report = blame.blame(ledger, opened, looked)
    blamed = report.lines
    if lines[0] > len(blamed):
        raise blaming.beyond(opened.path, lines[0], len(blamed), name)
    one = blamed[lines[0] - 1]
    found = exchanges.with_bodies(ledger, one.exchanges)
    commit = one.line.commit
    verdicts = Reviews(ledger.repo, report.exchanges)
    reviewed = [review for e in found for review in verdicts.of_exchange(e)] if len(found) > 1 else []
    reviewed += verdicts.of_line(one.exchanges, commit.oid)
    where = (commit.oid, os.fsdecode(one.line.path), one.line.number)
    other = others.reports(ledger.repo, [where]).get(where, "") if commit.oid and not found else ""
    if as_json:
        data = {
            **blaming.row(one, {one.number: other} if other else {}, reviewed),
            "file": opened.path,
            "rev": opened.rev,
        }
        data["exchanges"] = [output.exchange_json(e, request=True) for e in found]
        data["committed"] = _commit(commit)
        click.echo(output.envelope("why", 0, data))
        return 0
    page = f"{page_of(opened.path)}#L{one.number}" if commit.oid and rev is None else ""
    _print(ledger, f"{opened.path}:{one.number}", one, found, reviewed, other, page)
    return 0


def _commit(commit: Commit) -> dict[str, Any] | None:
    if not commit.oid:
        return None
    return {"commit": commit.oid, "time": commit.time, "author": commit.author, "subject": commit.subject}


def _print(
    ledger: Ledger,
    place: str,
    one: Blamed,
    found: Sequence[Exchange],
    reviewed: Sequence[Exchange],
    other: str,
    page: str,
) -> None:
    from gitrelay.cli import blaming, output
    from gitrelay.history.outcome import shown
    from gitrelay.provenance.lines import saying
    from gitrelay.provenance.lines.blame import Why

    head = [f"{place}  {saying.text_of(one).strip()}"]
    head += [f"{blaming.addresses(one)}: {words}" for words in [saying.remarks(one)] if found and words]
    if not found:
        head.append(saying.REASONS[one.why or Why.NOT_ADDED])
        head += [f"another tool's own report: {other}"] if other else []
    tail = [f"review {e.address}: {e.to}, {shown(e.outcome, e.checked)}" for e in reviewed]
    commit = one.line.commit
    if commit.oid:
        date = time.strftime("%Y-%m-%d", time.localtime(commit.time or 0))
        tail.append(f"commit {commit.oid[:12]} ({commit.author}, {date}): {commit.subject}")
    else:
        tail.append("not committed yet")
    tail += [f"page {page} of 'git relay web'"] if page else []
    if output.is_drawn():
        from gitrelay.cli.screen import conversation, terminal

        with terminal.opened(ledger.repo) as seen:
            seen.print(map(output.safe, head))
            for e in found:
                seen.print(["", *conversation.lines(e, seen.width, colours=seen.colours, now=time.time())])
            seen.print(["", *map(output.safe, tail)])
        return
    out = [*head, ""]
    for e in found:
        out += [f"==> {e.address} request {e.from_} -> {e.to}", e.request_data.decode("utf-8", "replace")]
        out += [f"==> {e.address} response: {shown(e.outcome, e.checked)}", e.response_data.decode("utf-8", "replace")]
        out += [f"==> {e.address} check {check.word}: {check.command}" for check in e.checks]
        out += [f"==> {e.address} the worker says: check {word}: {command}" for command, word in e.worker_checks]
    output.write(output.safe("\n".join([*out, *tail, ""])).encode("utf-8", "replace"))
