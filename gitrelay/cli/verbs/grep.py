"""`git relay grep`: search what was said, or what was changed, in all sessions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration
from gitrelay.ground.text import counted

if TYPE_CHECKING:
    from gitrelay.history.searching import Found, Wanted

_MOST: Final = 50
_LONGEST: Final = 1000  # characters of a line; an agent that reads them pays for each


@click.command("grep")
@click.option("--code", is_flag=True, help="Search the lines that exchanges added or removed.")
@click.option("-i", "--ignore-case", is_flag=True, help="Upper and lower case are the same.")
@click.option("-F", "--fixed", is_flag=True, help="PATTERN is plain words, not a regular expression.")
@click.option("--session", metavar="S", shell_complete=candidates.sessions, help="Only in this session.")
@click.option("--to", metavar="P", shell_complete=candidates.peers, help="Only what was asked of this peer.")
@click.option("--since", metavar="D", help="Only what was asked since then: 2h, 7d, yesterday or 2026-11-20.")
@click.option("--req", "kinds", flag_value="req", multiple=True, help="Only in requests.")
@click.option("--res", "kinds", flag_value="res", multiple=True, help="Only in responses.")
@click.option("--check", "kinds", flag_value="check", multiple=True, help="Only in what checks printed.")
@click.option("-C", "around", type=click.IntRange(0, 100), default=0, metavar="N", help="N lines around each, too.")
@click.option(
    "-n",
    "most",
    type=click.IntRange(0),
    default=_MOST,
    metavar="N",
    help=f"At most N exchanges; 0: all. Default {_MOST}.",
)
@json_option
@click.argument("pattern")
def command(
    pattern: str,
    code: bool,
    ignore_case: bool,
    fixed: bool,
    session: str | None,
    to: str | None,
    since: str | None,
    kinds: tuple[str, ...],
    around: int,
    most: int,
    as_json: bool,
) -> int:
    """Search what was asked, answered and printed by checks.

    PATTERN is an extended regular expression, as for 'git grep -E'. The exchange that was asked last comes
    first, each line with its address; archived sessions are searched too. What gitrelay adds to every
    message, the front matter and the block Format, is left out.

    --code searches the files before and after each exchange: '+' is a line that was added, with its number in the
    new file, '-' one that was removed, with its number in the old one. Binary files, and those above 4 MiB, have no
    lines. An exchange whose files are not in this clone is passed over, and counted.

    \b
      git relay grep "lock is taken"
      git relay grep -i --res --since 7d -C 2 flaky
      git relay grep --code -C 2 "retry_max *="
    """
    if code and kinds:
        raise click.UsageError(f"--code and --{kinds[0]} exclude each other: one is in files, the other in messages")
    now = time.time()
    begin = None if since is None else duration.since(since, "--since", now)

    from gitrelay.cli import output
    from gitrelay.history import searching
    from gitrelay.history.searching import Wanted
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol import names

    ledger = open_ledger(Path.cwd())
    name = None if session is None else names.check_session(session, "--session")
    wanted = Wanted(pattern, fixed, ignore_case, name, to, begin, kinds)
    cut: Mapping[str, int] = {}
    if code:
        from gitrelay.provenance.lines import searching as changed

        result = changed.search(ledger, wanted, most or None, around)
        found, more, cut = result.found, result.more, result.cut
        if result.missing:
            output.say(f"{counted(result.missing, 'exchange')} without files in this clone: not searched")
    else:
        found, more = searching.search(ledger, wanted, most or None)
        found = searching.with_context(ledger, found, around) if around else found
    if as_json:
        click.echo(output.envelope("grep", 0, [_row(one, cut) for one in found]))
        return 0
    if not found:
        output.say("nothing found")
        return 0
    if output.is_drawn():
        from gitrelay.cli.screen import hits, terminal

        with terminal.opened(ledger.repo) as seen:
            seen.print(hits.lines(found, _highlighter(wanted), seen.width, colours=seen.colours, now=now))
    else:
        for one in found:
            output.write("".join(_plain(one)).encode())
    for address, lines in cut.items():
        output.say(f"{address}: {counted(lines, 'line')} more: git relay diff {address}")
    if more:
        output.say(f"the newest {most} exchanges; there are more: -n {most * 4}, or -n 0 for all")
    return 0


def _row(one: Found, cut: Mapping[str, int]) -> dict[str, object]:
    e = one.exchange
    return {
        "address": str(e.address),
        "from": e.from_,
        "to": e.to,
        "requested": e.request.time,
        "outcome": e.outcome,
        "more_lines": cut.get(str(e.address), 0),
        "lines": [
            {"file": line.file, "kind": line.kind, "line": line.number, "text": line.text, "match": line.hit}
            for line in one.lines
        ],
    }


def _plain(one: Found) -> Iterator[str]:
    from gitrelay.cli.screen import hits

    for line in one.lines:
        text = line.text if len(line.text) <= _LONGEST else line.text[:_LONGEST] + "..."
        where = f"{hits.SIGNS[line.kind]} {line.file}" if line.kind in hits.SIGNS else line.kind
        yield f"{one.exchange.address} {where}{':' if line.hit else '-'}{line.number}: {text}\n"


def _highlighter(wanted: Wanted) -> re.Pattern[str] | None:
    """What to paint in a line; git's expressions are nearly python's, and where they are not nothing is painted."""
    try:
        text = re.escape(wanted.pattern) if wanted.fixed else wanted.pattern
        return re.compile(text, re.IGNORECASE if wanted.ignore_case else 0)
    except (re.error, OverflowError):
        return None
