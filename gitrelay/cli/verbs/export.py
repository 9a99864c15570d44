"""`git relay export`: sessions as a static site, as one page, as markdown, as JSON or as Agent Trace records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground.text import quote
from gitrelay.protocol import names

if TYPE_CHECKING:
    from gitrelay.errors import RelayError
    from gitrelay.report.turns import Conversation, Turn

_FORMATS = {".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".jsonl": "agent-trace"}


@click.command("export")
@click.option(
    "-o", "--output", "place", type=click.Path(path_type=Path), metavar="DIR|FILE", help="Where to write; - is stdout."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md", "json", "agent-trace"]),
    help="Default: by the file's name, else html.",
)
@click.option("--rev", metavar="COMMIT|A..B", help="agent-trace: the commits that have a record. Default: HEAD.")
@click.option(
    "--by", type=click.Choice(["commit", "exchange"]), help="agent-trace: a record for each of these. Default: commit."
)
@click.option("--force", is_flag=True, help="Also into a folder, or over a file, that no export wrote.")
@click.option(
    "--file",
    "asked",
    multiple=True,
    metavar="PATH",
    shell_complete=candidates.files,
    help="Also a page that says who wrote each line of this file of HEAD, or of each in this folder; repeatable.",
)
@json_option
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
def command(
    sessions: tuple[str, ...],
    place: Path | None,
    form: str | None,
    rev: str | None,
    by: str | None,
    force: bool,
    asked: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write sessions as a site to read in a browser, or as one file.

    All sessions, archived ones too, unless some are named. A folder gets an index with search, a page
    for each session and the figures; FILE.html is one page that holds it all. Both need no network and
    open from the disk. FILE.md and FILE.json, or --format without -o, are a transcript and the records.

    FILE.jsonl, or --format agent-trace, are Agent Trace records, one a line, for tools that read that format: which
    lines of a commit which exchange wrote, as 'git relay blame' knows it.

    \b
      git relay export -o site
      git relay export auth-refactor -o auth-refactor.html
      git relay export auth-refactor --format md
      git relay export --format agent-trace --rev v1.0..HEAD
    """
    for session in sessions:
        names.check_session(session)
    to_stdout = place is None or str(place) == "-"
    suffix = "" if place is None else place.suffix.lower()
    form = form or _FORMATS.get(suffix, "html")
    if (rev is not None or by) and form != "agent-trace":
        raise click.UsageError("--rev and --by go with --format agent-trace")
    if rev is not None and by == "exchange":
        raise click.UsageError("--rev and --by exchange exclude each other: an exchange has a commit of its own")
    if asked and (form != "html" or suffix in _FORMATS or to_stdout):
        raise click.UsageError("--file adds pages to a site: -o DIR")
    if form == "html" and to_stdout:
        raise click.UsageError("say where to write: -o DIR for a site, -o FILE.html for one page")
    if suffix in _FORMATS and _FORMATS[suffix] != form:
        raise click.UsageError(f"--format {form} and -o {quote(str(place))} do not fit each other")
    if as_json and to_stdout:
        raise click.UsageError("--json tells what was written: give a file with -o, or leave it out")

    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.errors import INTEGRITY, OK
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access
    from gitrelay.provenance.lines.views import Blames
    from gitrelay.report import site, transcript, turns

    ledger = open_ledger(Path.cwd())
    if place is not None:
        within.require(ledger, Access.WRITE, "git relay export")
    if form == "agent-trace":
        from gitrelay.cli import traces

        where = None if to_stdout else place
        return traces.export(ledger, sessions, rev, by or traces.COMMIT, where, force=force, as_json=as_json)
    if form == "html":
        assert place is not None
        if suffix in _FORMATS:
            done = site.export_file(ledger, sessions, place, force=force)
        else:
            views = Blames(ledger) if asked else None
            paths = views.below(Path.cwd(), asked) if views is not None else ()
            done = site.export(ledger, sessions, place, force=force, views=views, paths=paths)
    else:
        conversations, damaged = turns.read(ledger, sessions)
        text = transcript.markdown(conversations) if form == "md" else _document(conversations)
        if to_stdout:
            output.write(text.encode("utf-8", "replace"))
            return _tell(damaged)
        assert place is not None
        done = site.export_text(conversations, damaged, text, place, force=force)
    code = INTEGRITY if done.damaged else OK
    if as_json:
        data = {
            "place": str(done.place),
            "format": form,
            "files": done.files,
            "sessions": done.sessions,
            "exchanges": done.exchanges,
        }
        click.echo(output.envelope("export", code, data, output.damaged_errors(done.damaged)))
        return code
    _tell(done.damaged)
    kept = f"; {done.kept} pages are as they were" if done.kept else ""
    output.say(f"{done.sessions} sessions, {done.exchanges} exchanges{kept}")
    click.echo(str(done.place / "index.html" if done.place.is_dir() else done.place))
    return code


def _tell(damaged: Mapping[str, RelayError]) -> int:
    """Name what could not be read, as every verb that reads them all does; the exit code."""
    from gitrelay.cli import output
    from gitrelay.errors import INTEGRITY, OK

    for error in output.damaged_errors(damaged):
        output.say(output.one_line(error["message"], error["hint"]))
    return INTEGRITY if damaged else OK


def _document(conversations: Sequence[Conversation]) -> str:
    """All that is recorded of some sessions, as docs/json.md says."""
    sessions = [
        {
            "session": c.name,
            "archived": c.archived,
            "fault": c.fault or None,
            "exchanges": [_record(turn) for turn in c.turns],
        }
        for c in conversations
    ]
    return json.dumps({"version": 1, "sessions": sessions}, ensure_ascii=False) + "\n"


def _record(turn: Turn) -> dict[str, Any]:
    from gitrelay.cli import output
    from gitrelay.errors import IntegrityError

    try:
        value = output.exchange_json(turn.exchange, request=True)
    except IntegrityError:  # the response is no message; what it holds is the body
        value = output.exchange_json(replace(turn.exchange, response_data=b""), request=True) | {"body": turn.body}
    for check, run in zip(value["checks"], turn.checks, strict=True):
        check["output"] = run.output
    files = None if turn.changes is None else [asdict(f) for f in turn.changes.changes]
    return value | {"task": turn.task, "fault": turn.fault or None, "files": files}
