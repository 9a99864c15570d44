"""The man page, made from the verbs' own help: `python -m gitrelay.cli.manpage > docs/git-relay.1`.

It is shipped because `git relay --help` opens `man git-relay` and never reaches the program.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

import click

from gitrelay import __version__
from gitrelay.cli import VERBS, group, grouped
from gitrelay.cli.options import option_groups
from gitrelay.cli.reference import ENVIRONMENT, EXAMPLES, SETTINGS
from gitrelay.errors import EXIT_CODES


def render() -> str:
    """The whole page as roff."""
    context = click.Context(group, info_name="git-relay", help_option_names=["-h", "--help"])
    return "\n".join(line for line in _page(context)) + "\n"


def _page(context: click.Context) -> Iterator[str]:
    yield f'.TH GIT-RELAY 1 "" "gitrelay {__version__}" "gitrelay"'
    yield ".SH NAME"
    yield r"git-relay \- one coding agent calls another like a function, and git remembers"
    yield ".SH SYNOPSIS"
    yield r"\fBgit relay\fR [\fB\-C\fR \fIDIR\fR] [\fB\-\-no\-pager\fR] \fIVERB\fR"
    yield r"[\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help or "")
    for heading, verbs in grouped().items():
        yield ".PP"
        yield from _text(f"{heading}:")
        for verb in verbs:
            yield from _item(verb, VERBS[verb])
    yield ".SH OPTIONS"
    for option in option_groups(group, context)["Options"]:
        yield from _option(option, context)
    yield ".PP"
    yield from _text("Every verb has --help too, as 'git relay VERB -h'.")
    for heading, verbs in grouped().items():
        yield f".SH {heading.upper()}"
        for verb in verbs:
            yield from _verb(verb, context)
    yield ".SH EXAMPLES"
    for i, (wish, commands) in enumerate(EXAMPLES.items()):
        yield from ([".PP"] if i else [])
        yield from (*_text(wish), ".PP", ".nf", ".RS 4", *map(_escaped, commands.split("\n")), ".RE", ".fi")
    yield ".SH EXIT STATUS"
    for code, (name, meaning) in EXIT_CODES.items():
        yield from _item(str(code), meaning, note=name)
    yield ".SH CONFIGURATION"
    yield from _text("Read from git config alone, never from a file in the working tree. PEER is the name of a peer;")
    yield from _text("relay.timeout and the like, without a peer, hold for all of them.")
    yield from _items(SETTINGS)
    yield ".SH ENVIRONMENT"
    yield from _items(ENVIRONMENT)
    yield ".SH FILES"
    yield from _item("refs/heads/relay/SESSION", "The session: one commit for each request and each response.")
    yield from _item("refs/relay/archive/SESSION", "The same, once it is archived.")
    yield from _item("refs/relay/code/SESSION", "What the caller's files were before and after each call.")
    yield from _item("refs/relay/steps/SESSION", "What peers say they did in each turn, if relay.steps is true.")
    yield from _item(".relay/SESSION/", "The session's worktree while it is in use.")
    yield from _item("$GIT_COMMON_DIR/relay/", "Locks, running calls, what peers printed. May be deleted at any time.")
    yield ".SH SEE ALSO"
    yield r"\fBgit\-log\fR(1), \fBgit\-worktree\fR(1), \fBgit\-config\fR(1)"


def _verb(verb: str, context: click.Context) -> Iterator[str]:
    command = group.get_command(context, verb)
    assert command is not None
    inner = click.Context(command, info_name=verb, parent=context)
    yield f".SS git relay {verb} {_escaped(' '.join(command.collect_usage_pieces(inner)))}"
    yield from _paragraphs(command.help or "")
    groups = option_groups(command, inner)
    for heading, options in groups.items():
        if len(groups) > 1 and heading != "Options":
            yield from (".PP", rf"\fI{_escaped(heading)}\fR")
        for option in options:
            if option.name != "help":  # said once, for all
                yield from _option(option, inner)


def _option(option: click.Option, context: click.Context) -> Iterator[str]:
    record = option.get_help_record(context)
    if record is not None:
        yield from _item(record[0], record[1])


def _items(values: Mapping[str, str]) -> Iterator[str]:
    for name, meaning in values.items():
        yield from _item(name, meaning)


def _item(name: str, meaning: str, *, note: str = "") -> Iterator[str]:
    yield ".TP"
    yield rf"\fB{_escaped(name)}\fR" + (f" ({_escaped(note)})" if note else "")
    yield from _text(meaning) if meaning else [r"\&"]


def _paragraphs(help_: str) -> Iterator[str]:
    for i, paragraph in enumerate(inspect.cleandoc(help_).split("\n\n")):
        if i:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", ".RS 4", *(_escaped(line.strip()) for line in paragraph.splitlines()[1:]), ".RE", ".fi")
        else:
            yield from _text(" ".join(paragraph.split()))


def _text(text: str) -> list[str]:
    """Running text in lines of the source that stay below 80 bytes, as roff's own checkers want them."""
    return [_escaped(line) for line in textwrap.wrap(text, 64, break_long_words=False, break_on_hyphens=False)]


def _escaped(text: str) -> str:
    escaped = re.sub(r"[\\-]", lambda found: r"\e" if found[0] == "\\" else r"\-", text)
    return r"\&" + escaped if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    click.echo(render(), nl=False)
