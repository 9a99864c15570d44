"""Options and arguments that several verbs share."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from gitrelay.errors import Code, UsageError

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON envelope.")
VERIFY = "\0verify"  # --check without a value, as calls.wording has it, which is not loaded for the help alone
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
        return words[0].removeprefix("\ufeff") if what == "TASK" else words[0]
    if not words and sys.stdin.isatty():
        raise click.UsageError(f"{what} is missing: give it as a word, or pipe it in")
    text = _decoded(sys.stdin.buffer.read())
    if what == "TASK":  # what other systems put around a text is no part of the task
        text = text.removeprefix("\ufeff").removesuffix("\r")
    return text


def _decoded(data: bytes) -> str:
    """What was piped in, without its last line end. Raises UsageError for what is not UTF-8."""
    wide = _wide(data)
    if wide:
        raise UsageError(
            f"stdin is {wide}, not UTF-8",
            hint=f"convert it: iconv -f {wide} -t UTF-8",
            code=Code.BAD_ENCODING,
        )
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as e:
        raise UsageError(
            f"stdin is not UTF-8: byte 0x{data[e.start]:02x} at offset {e.start}",
            hint="convert it (iconv -t UTF-8), or refer to the file with --file",
            code=Code.BAD_ENCODING,
        ) from None


def _wide(data: bytes) -> str | None:
    """`UTF-16` or `UTF-32` if that is what `data` looks like, by its mark or by every other byte being NUL."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    head = data[:512]
    for at, name in ((0, "UTF-16BE"), (1, "UTF-16LE")):
        nuls = head[at::2]
        if len(head) >= 4 and nuls.count(0) > len(nuls) * 0.4 and head[1 - at :: 2].count(0) == 0:
            return name
    return None
