"""`git relay blame`: each line of a file with the exchange that wrote it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import INTEGRITY, OK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gitrelay.git.repository import Repository
    from gitrelay.history.exchange import Exchange
    from gitrelay.provenance.lines.blame import Blamed
    from gitrelay.provenance.lines.reviews import Reviews


@click.command("blame")
@click.option("--rev", metavar="COMMIT", help="The file as it is in this commit; default: the working file.")
@click.option("--line", "-L", "range_", metavar="N[-M]", help="Only these lines; as FILE:N-M.")
@click.option("--porcelain", is_flag=True, help="For programs: two lines for each, as docs/blame.md says.")
@json_option
@click.argument("file", metavar="FILE[:N[-M]]", shell_complete=candidates.files)
def command(file: str, rev: str | None, range_: str | None, porcelain: bool, as_json: bool) -> int:
    """Show each line of a file with the exchange that wrote it.

    The lines are held against what each exchange added, by content, so that a squash, a rebase or a move
    loses nothing. If several exchanges added the same text, all are named. A line that no recorded
    exchange is known to have added has '-', which does not say who wrote it; '?' is one of which it
    cannot be known here.
    """
    if porcelain and as_json:
        raise click.UsageError("--porcelain and --json exclude each other")

    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.provenance.lines import files

    ledger = open_ledger(Path.cwd())
    name, lines = files.split(file, Path.cwd()) if range_ is None else (file, files.range_of(range_))
    opened = files.opened(ledger.repo, Path.cwd(), name, rev)
    with files.looking(ledger.repo, opened) as looked:
        from gitrelay.cli import blaming, output  # while git is at work
        from gitrelay.provenance.lines import blame, others, saying
        from gitrelay.provenance.lines.reviews import Reviews

        report = blame.blame(ledger, opened, looked)
    first, last = lines or (1, len(report.lines))
    if last > len(report.lines):
        raise blaming.beyond(opened.path, last, len(report.lines), name)
    shown = report.lines[first - 1 : last]
    gaps = {o.number: (o.line.commit.oid, os.fsdecode(o.line.path), o.line.number) for o in shown if not o.exchanges}
    said = others.reports(ledger.repo, [where for where in gaps.values() if where[0]])
    other = {number: said[where] for number, where in gaps.items() if where in said}
    verdicts = Reviews(ledger.repo, report.exchanges)
    code, errors = (INTEGRITY if report.damaged else OK), output.damaged_errors(report.damaged)
    if as_json:
        rows = [blaming.row(one, other, verdicts.of_line(one.exchanges, one.line.commit.oid)) for one in shown]
        data = {"file": opened.path, "rev": opened.rev, "exchanges": report.total, "without_files": report.missing}
        click.echo(output.envelope("blame", code, {**data, "lines": rows}, errors))
        return code
    if porcelain:
        output.write(b"".join(_porcelain(shown, verdicts)))
        return code
    _print(ledger.repo, shown, other, verdicts)
    for line in saying.summary(shown, report):
        output.say(line)
    for error in errors:
        output.say(output.one_line(error["message"], error["hint"]))
    return code


def _porcelain(shown: Sequence[Blamed], verdicts: Reviews) -> Iterator[bytes]:
    who: dict[int, bytes] = {}  # of a tuple of exchanges, which many lines have
    for one in shown:
        line = one.line
        if id(one.exchanges) not in who:
            who[id(one.exchanges)] = ",".join(str(e.address) for e in one.exchanges).encode() or b"-"
        marks = b" reflowed" * one.reflowed + b" overlap" * one.overlap + b" shared" * bool(one.shared)
        for review in verdicts.of_line(one.exchanges, line.commit.oid):
            marks += f" review={review.address}:{review.verify}".encode()
        facts = (one.number, (one.why or one.kind).encode(), who[id(one.exchanges)], line.commit.oid.encode() or b"-")
        yield b"%d %s %s %s %d%s\n\t%s\n" % (*facts, line.number, marks, line.data)


def _print(repo: Repository, shown: Sequence[Blamed], other: dict[int, str], verdicts: Reviews) -> None:
    from gitrelay.cli import blaming, output
    from gitrelay.provenance.lines import saying

    def of_line(one: Blamed) -> Sequence[Exchange]:
        return verdicts.of_line(one.exchanges, one.line.commit.oid)

    if output.is_drawn():
        from gitrelay.cli.screen import blamed, terminal

        some = any(map(of_line, shown))
        cells = (blamed.of_line(one, other.get(one.number, ""), of_line(one) if some else None) for one in shown)
        terminal.show_table(repo, blamed.COLUMNS if some else blamed.UNREVIEWED, cells)
        return
    known: dict[tuple[int, object, bool, int], str] = {}  # of an exchange, which has many lines
    rows = []
    for one in shown:
        said, reviews = other.get(one.number, ""), of_line(one)
        key = id(one.exchanges), one.why, one.reflowed, id(reviews)
        if key not in known or said:
            words = [said or _facts(one), blaming.reviewed(reviews)]
            known[key] = output.safe(", reviewed ".join(word for word in words if word))
        text = "\t".join(map(output.safe, saying.text_of(one).split("\t")))  # without tabs it is quick to look at
        rows.append(f"{one.number}\t{blaming.addresses(one)}\t{known[key]}\t{text}\n")
        if said:
            del known[key]
    output.write("".join(rows).encode("utf-8", "replace"))


def _facts(one: Blamed) -> str:
    from gitrelay.cli import blaming

    standing = blaming.standing(one).strip()
    return f"{one.exchanges[0].to} {standing} {blaming.day(one.exchanges[0])}" if len(one.exchanges) == 1 else standing
