"""Options and arguments that several verbs share."""

from __future__ import annotations

import sys

import click

from gitrelay.errors import UsageError

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
            code="bad-encoding",
        ) from None
