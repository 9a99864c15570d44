"""`git relay demo`: a claim that is wrong, the check that finds it, and the next turn, in a throw-away repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gitrelay.cli.options import json_option
from gitrelay.errors import CannotRecord, Code, UsageError

if TYPE_CHECKING:
    from gitrelay.history.exchange import Exchange
    from gitrelay.ledger.ledger import Ledger

_FILES: Final = {"sum.txt": "4\n", "test.sh": 'test "$(cat sum.txt)" = 5\n'}
_CHECK: Final = "sh test.sh"
# (task, how it must end): the peer claims that it is done, and it is not; then it is
_TURNS: Final = (
    ("echo 6 > sum.txt; echo Fixed, all tests pass.", "check-failed"),
    ("echo 5 > sum.txt; echo It is 5 and not 6.", "pass"),
)


@click.command("demo")
@click.option("--keep", type=click.Path(), metavar="DIR", help="Make the repository here, and leave it.")
@click.option("--web", is_flag=True, help="Then open it in the browser, as 'git relay web' does, until Ctrl-C.")
@json_option
def command(keep: str | None, web: bool, as_json: bool) -> int:
    """Show in a throw-away repository what gitrelay is for.

    A peer claims that all tests pass; gitrelay's own check fails; the next turn fixes it. The embedded peer
    'shell' needs no account: its task is a command, its exit code the verdict.
    """
    from gitrelay.cli import output
    from gitrelay.history import exchanges

    if web and as_json:
        raise click.UsageError("--web and --json exclude each other")
    with _place(keep) as place:
        ledger = _played(place, quiet=as_json)
        if as_json:
            rows = [output.exchange_json(e) for e in exchanges.exchanges(ledger, "demo", bodies=True)]
            click.echo(output.envelope("demo", 0, {"folder": str(place) if keep else None, "exchanges": rows}))
        if keep is not None:
            output.say(f"the repository is {place}: git -C {place} relay show demo")
        if web:
            from gitrelay.cli.verbs.web import serve

            os.chdir(place)
            return serve(0, answer=False, open_=True, as_json=False)
    return 0


@contextlib.contextmanager
def _place(keep: str | None) -> Iterator[Path]:
    """An empty folder, removed at the end if none is named. Raises UsageError if `keep` holds something."""
    from gitrelay.ground.text import quote

    if keep is None:
        place = Path(tempfile.mkdtemp(prefix="git-relay-demo-"))
        try:
            yield place
        finally:
            os.chdir("/")
            shutil.rmtree(place, ignore_errors=True)
        return
    place = Path(os.path.abspath(keep))
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{quote(keep)} exists and is not an empty folder", hint="name another one", code=Code.EXISTS)
    place.mkdir(parents=True, exist_ok=True)
    yield place


def _played(place: Path, *, quiet: bool) -> Ledger:
    """The session, told line by line unless `quiet`. Raises CannotRecord if it does not go as it must."""
    from gitrelay.calls import ask, inflight
    from gitrelay.calls.order import Order
    from gitrelay.calls.settings import Given
    from gitrelay.cli import output
    from gitrelay.cli.screen import terminal
    from gitrelay.cli.screen.style import paint
    from gitrelay.git.opening import create_repository
    from gitrelay.history import exchanges

    colours = output.is_drawn() and terminal.has_colours(os.environ)

    def tell(text: str, look: str = "") -> None:
        if not quiet:
            click.echo(paint(text, look, colours))

    create_repository(place)
    for name, text in _FILES.items():
        (place / name).write_text(text)
    tell("test.sh wants sum.txt to hold 2 + 3. The peer is the shell: no account.")
    for task, expected in _TURNS:
        tell(f'$ git relay req shell --session demo --check "{_CHECK}" \\\n    "{task}"', "strong")
        given = Given(checks=(_CHECK,), isolate=False)
        ledger, asked = ask.ask(place, Order(task, ("shell",), from_="demo", session="demo", given=given))
        inflight.wait(ledger, asked.address, 60.0)
        found = exchanges.exchange(ledger, asked.address)
        for line, look in _told(found):
            tell(line, look)
        if found.outcome != expected:
            raise CannotRecord(f"the demo did not go as it must: {found.address} is {found.outcome}")
    tell("$ git relay diff demo/2", "strong")
    for line in _changed(ledger, found):
        tell(line, "good" if line.startswith("+") else "bad")
    tell("$ git log --oneline relay/demo", "strong")
    log = ledger.repo.run("log", "--abbrev=7", "--format=%h %s", "--end-of-options", "refs/heads/relay/demo", "--")
    for line in log.decode("utf-8", "replace").splitlines():
        tell(line if len(line) <= 79 else line[:76] + "...")
    return ledger


def _told(e: Exchange) -> Iterator[tuple[str, str]]:
    """(a line, its look) for what the peer says, and for what gitrelay saw."""
    said = [line for line in (e.answer.body if e.answer else "").splitlines() if line.strip(" `")][-2:-1]
    yield f"    {e.to}: {' '.join(said)}  (claims verify: {e.verify})", ""
    for check in e.checks:
        yield f"    gitrelay: check {check.word}: {check.command}", "good" if check.word == "pass" else "bad"


def _changed(ledger: Ledger, e: Exchange) -> Iterator[str]:
    from gitrelay.git import userfiles

    before, after = e.request.tree or "", (e.response.tree or "") if e.response else ""
    lines = userfiles.diff(ledger.repo, before, after).decode("utf-8", "replace").splitlines()
    yield from (line for line in lines if line[:1] in ("+", "-") and line[:3] not in ("+++", "---"))
