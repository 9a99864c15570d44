"""`git relay help`: the documents, where gitrelay is installed."""

from __future__ import annotations

import click

from gitrelay.cli import VERBS, group
from gitrelay.cli.options import json_option


def _topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from gitrelay.setup import pages

    return [word for word in sorted({*pages.topics(), *VERBS}) if word.startswith(incomplete)]


@click.command("help")
@json_option
@click.argument("topic", required=False, metavar="[VERB|TOPIC]", shell_complete=_topics)
def command(topic: str | None, as_json: bool) -> int:
    """Show a page of the documents, or the help of a verb.

    Without a topic, the list of pages.

    \b
      git relay help tutorial
      git relay help troubleshooting
      git relay help req
    """
    from gitrelay.cli import output
    from gitrelay.setup import pages

    if topic is None:
        titles = pages.titles()
        if as_json:
            click.echo(output.envelope("help", 0, {"topic": None, "topics": sorted(titles), "text": None}))
            return 0
        width = max(map(len, titles))
        click.echo("\n".join(f"{name.ljust(width)}  {title}" for name, title in titles.items()))
        return 0
    known = pages.topics()
    if topic in VERBS and topic not in known:
        verb = group.get_command(click.Context(group), topic)
        assert verb is not None
        parent = click.Context(group, info_name="git relay")
        text = verb.get_help(click.Context(verb, info_name=topic, parent=parent)) + "\n"
        click.echo(output.envelope("help", 0, _data(topic, text)) if as_json else text, nl=as_json)
        return 0
    text = pages.text(topic, [*VERBS])
    if as_json:
        click.echo(output.envelope("help", 0, _data(topic, text)))
        return 0
    if not output.is_drawn():
        click.echo(text, nl=False)
        return 0
    from gitrelay.cli.screen import markdown, terminal
    from gitrelay.cli.screen.conversation import READABLE

    with terminal.opened() as seen:
        seen.print(markdown.lines(text, min(seen.width, READABLE), colours=seen.colours))
    return 0


def _data(topic: str, text: str) -> dict[str, object]:
    return {"topic": topic, "topics": None, "text": text}
