"""The page of verbs, made from their own help: `python -m gitrelay.cli.verbspage > docs/verbs.md`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from gitrelay.cli import VERBS, group, grouped
from gitrelay.cli.options import option_groups


def render() -> str:
    """The whole page as markdown."""
    context = click.Context(group, info_name="git-relay", help_option_names=["-h", "--help"])
    return "\n".join(_page(context)) + "\n"


def _page(context: click.Context) -> Iterator[str]:
    yield "# Verbs"
    yield ""
    yield "`git relay VERB -h` prints the same. Every verb has `--json` ([json.md](json.md)) and `--help`."
    for heading, verbs in grouped().items():
        yield from ("", f"## {heading}", "", "| verb | |", "|---|---|")
        yield from (f"| [{verb}](#git-relay-{verb}) | {VERBS[verb]} |" for verb in verbs)
    for verbs in grouped().values():
        for verb in verbs:
            yield from _verb(verb, context)


def _verb(verb: str, context: click.Context) -> Iterator[str]:
    command = group.get_command(context, verb)
    assert command is not None
    inner = click.Context(command, info_name=verb, parent=context)
    usage = " ".join(command.collect_usage_pieces(inner))
    yield from ("", f"## git relay {verb}", "", "```text", f"git relay {verb} {usage}", "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield from ("```text", *(line.strip() for line in paragraph.splitlines()[1:]), "```", "")
        else:
            yield from (_escaped(" ".join(paragraph.split())), "")
    yield from ("| option | |", "|---|---|")
    for options in option_groups(command, inner).values():
        for option in options:
            record = option.get_help_record(inner)
            if record is not None and option.name not in ("help", "as_json"):
                name = record[0].replace("|", "\\|")
                yield f"| `{name}` | {_escaped(record[1])} |"
    yield "| `--json` | Print one JSON envelope. |"


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\<>|*_[]`" else c for c in text)


if __name__ == "__main__":
    click.echo(render(), nl=False)
