"""`git relay completion`: completion for bash, zsh and fish, printed or installed; and the words that a TAB offers."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option

# what a shell reads as one word as it is; nothing else is offered
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/@%+=-][A-Za-z0-9._/@:%+=-]*")


@click.command("completion")
@click.option("--install", is_flag=True, help="Write the script where the shell looks, in your own folders.")
@click.option("--complete", is_flag=True, hidden=True, help="Print what the last of the words may become.")
@json_option
@click.argument("words", nargs=-1, metavar="[bash|zsh|fish]", shell_complete=candidates.shells)
def command(words: tuple[str, ...], install: bool, complete: bool, as_json: bool) -> int:
    """Print or install completion for bash, zsh or fish.

    It completes verbs, options, sessions, addresses and peers, for 'git-relay' and for 'git relay'. Without
    a name it is for your own shell ($SHELL). A file that is not gitrelay's is not overwritten.

    \b
    git relay completion bash --install
    eval "$(git relay completion zsh)"
    git relay completion fish | source
    """
    if complete:
        with contextlib.suppress(click.ClickException):  # there is no such verb
            click.echo("".join(f"{line}\n" for line in _offered(words)), nl=False)
        return 0
    if len(words) > 1:
        raise click.UsageError(f"{' '.join(words)!r}: one shell at a time")

    from gitrelay.cli import output
    from gitrelay.setup import completion

    shell = completion.named(words[0] if words else None, os.environ)
    if not install:
        script = completion.script(shell)
        data = {"shell": shell, "file": None, "action": "printed", "advice": "", "script": script}
        click.echo(output.envelope("completion", 0, data) + "\n" if as_json else script, nl=False)
        return 0
    done = completion.install(shell, os.environ)
    if as_json:
        data = {"shell": shell, "file": str(done.path), "action": done.action, "advice": done.advice, "script": None}
        click.echo(output.envelope("completion", 0, data))
        return 0
    output.say(f"{done.action}: {done.path}")
    if done.advice:
        output.say(done.advice)
    return 0


def _offered(words: Sequence[str]) -> Iterator[str]:
    """Lines `VALUE TAB HELP` for the last of `words` (it may be empty); `:files`, `:dirs`: the shell knows better."""
    from gitrelay.cli import group

    joined = [word for word in words if word != "="]  # a shell that cuts '--to=codex' into three
    *before, incomplete = joined if words and words[-1] != "=" else [*joined, ""]
    shell = ShellComplete(group, {}, "git-relay", "")
    for item in shell.get_completions(before, incomplete):
        if item.type in ("file", "dir"):
            yield f":{item.type}s\t"
        elif _PLAIN.fullmatch(str(item.value)):
            yield f"{item.value}\t{' '.join((item.help or '').split())}"
