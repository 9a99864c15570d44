"""The man page, made from the verbs' own help: `python -m gitrelay.cli.manpage > docs/git-relay.1`.

It is shipped because `git relay --help` opens `man git-relay` and never reaches the program.
"""

from __future__ import annotations

import inspect

import click

from gitrelay import __version__
from gitrelay.cli import VERBS, group
from gitrelay.errors import EXIT_CODES


def render() -> str:
    """The whole page as roff."""
    context = click.Context(group, info_name="git-relay")
    lines = [
        f'.TH GIT-RELAY 1 "" "gitrelay {__version__}" "gitrelay"',
        ".SH NAME",
        r"git-relay \- one coding agent calls another like a function, and git remembers",
        ".SH SYNOPSIS",
        r"\fBgit relay\fR [\-C \fIDIR\fR] \fIVERB\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(group.help or ""),
        ".SH VERBS",
    ]
    for verb in VERBS:
        command = group.get_command(context, verb)
        assert command is not None
        inner = click.Context(command, info_name=verb, parent=context)
        pieces = " ".join(command.collect_usage_pieces(inner))
        lines += [f".SS git relay {verb} {_text(pieces)}", *_paragraphs(command.help or "")]
        for parameter in command.get_params(inner):
            # arguments stand in the usage; whether they have a record too depends on click's version
            record = parameter.get_help_record(inner) if isinstance(parameter, click.Option) else None
            if record is not None:
                lines += [".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]) or r"\&"]
    lines.append(".SH EXIT STATUS")
    for code, (name, meaning) in EXIT_CODES.items():
        lines += [".TP", rf"\fB{code}\fR ({_text(name)})", _text(meaning)]
    lines += [
        ".SH FILES",
        ".TP",
        r"\fBrefs/heads/relay/\fISESSION\fR",
        "The session: one commit for each request and each response.",
        ".TP",
        r"\fB.relay/\fISESSION\fB/\fR",
        "Its worktree while it is in use.",
        ".TP",
        r"\fB$GIT_COMMON_DIR/relay/\fR",
        "Locks, running calls, what peers printed. May be deleted at any time.",
        ".SH SEE ALSO",
        r"\fBgit\-log\fR(1), \fBgit\-worktree\fR(1), \fBgit\-config\fR(1)",
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(help_: str) -> list[str]:
    lines: list[str] = []
    for paragraph in inspect.cleandoc(help_).split("\n\n"):
        if paragraph.startswith("\b"):
            lines += [".nf", *(_text(line.strip()) for line in paragraph.splitlines()[1:]), ".fi"]
        else:
            lines.append(_text(" ".join(paragraph.split())))
        lines.append(".PP")
    return lines[:-1]


def _text(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + escaped if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    click.echo(render(), nl=False)
