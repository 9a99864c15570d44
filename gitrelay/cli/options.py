"""Options and arguments that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from gitrelay.errors import Code, UsageError

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON envelope.")
agents_option = click.option(
    "--agent",
    "agents",
    multiple=True,
    type=click.Choice(["claude", "codex", "gemini", "opencode", "all"]),
    help="For this agent; repeatable. Default: all.",
)
place_option = click.option(
    "--project/--user",
    "project",
    default=False,
    help="In this working tree, for everybody who works in it, or in your own folders (the default).",
)


class GroupedCommand(click.Command):
    """A command with so many options that its help lists them under headings: heading -> names of parameters."""

    def __init__(self, *args: Any, groups: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, options in option_groups(self, ctx).items():
            records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
            with formatter.section(heading):
                formatter.write_dl(records)


def option_groups(command: click.Command, ctx: click.Context) -> dict[str, list[click.Option]]:
    """heading -> options, in the order of the help; what is under no heading is under `Options`."""
    options = [p for p in command.get_params(ctx) if isinstance(p, click.Option)]
    wanted = command.groups if isinstance(command, GroupedCommand) else {}
    of_name = {name: heading for heading, names in wanted.items() for name in names}
    groups: dict[str, list[click.Option]] = {heading: [] for heading in wanted}
    for option in options:
        groups.setdefault(of_name.get(option.name or "", "Options"), []).append(option)
    return groups


def read_text(words: tuple[str, ...], what: str) -> str:
    """The text given as one word, or from stdin for '-' or none with piped stdin. Raises UsageError."""
    if len(words) > 1:
        raise click.UsageError(f'{what} is one word: quote it, as in "{" ".join(words)[:60]}"')
    if words and words[0] != "-":
        return words[0]
    if not words and sys.stdin.isatty():
        raise click.UsageError(f"{what} is missing: give it as a word, or pipe it in")
    data = sys.stdin.buffer.read()
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as e:
        raise UsageError(
            f"stdin is not UTF-8: byte 0x{data[e.start]:02x} at offset {e.start}",
            hint="convert it (iconv -t UTF-8), or refer to the file with --file",
            code=Code.BAD_ENCODING,
        ) from None
