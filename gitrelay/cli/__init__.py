"""The command line: verbs, loaded when they are called, and the one place where a failure becomes an exit code.

A verb's module is `gitrelay.cli.verbs.<verb>` and holds `command`. It parses, calls one core function and
renders; what it raises is turned into one line on stderr, or into the envelope with `--json`, here.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeGuard

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

from gitrelay import __version__, environment
from gitrelay.cli import interrupts
from gitrelay.errors import BUG, INTERRUPTED, NO_ANSWER, USAGE, Code, Interrupted, RelayError

# verb -> its one-line help, repeated here so that `-h` loads no verb; a test compares the two
VERBS: Final[dict[str, str]] = {
    "req": "Ask a peer: record the request, run the peer, print its answer.",
    "loop": "Let a peer work in rounds until the checks and the review pass.",
    "answer": "Answer a question that a peer asked back: the next turn of its session.",
    "res": "Record an answer to a request, as the peer or in its place.",
    "compare": "Show the attempts of a group side by side.",
    "wait": "Wait for running calls and print their answers.",
    "cancel": "Stop a running call; it is recorded as cancelled.",
    "tail": "Follow a peer's events as readable lines.",
    "watch": "Follow all sessions, or one: new turns, what running peers do, limits left.",
    "status": "Show the calls that run now.",
    "ls": "List the sessions.",
    "log": "List the exchanges of a session, or of all sessions.",
    "show": "Print a message, an exchange or a whole session.",
    "grep": "Search what was asked, answered and printed by checks.",
    "blame": "Show each line of a file with the exchange that wrote it.",
    "why": "Show the exchange that wrote a line: task, answer, checks, reviews.",
    "export": "Write sessions as a site to read in a browser, or as one file.",
    "web": "Serve the sessions as a site on this machine, live.",
    "stats": "Print figures of the calls: outcomes, durations, tokens, cost.",
    "diff": "Show what changed in the caller's files between request and response.",
    "apply": "Bring what a call changed into this working tree.",
    "check-again": "Run the checks of an exchange again, and record the results.",
    "fsck": "Hold the sessions to every rule of the protocol.",
    "attest": "Print what the record says of an exchange as signed statements that other tools verify.",
    "replay": "Ask recorded requests again, of the same peer and of another, and compare what passes.",
    "scan": "Look for secrets in what is recorded.",
    "review": "Have a change reviewed before it is pushed.",
    "check": "Say whether a change has passed its review, from the record alone.",
    "bypass": "Let a change through without a verdict, and say why.",
    "pre-push": "Decide on a push: the hook pre-push calls this with git's own words and lines.",
    "hooks": "Install, remove or list gitrelay's git hooks in this repository.",
    "push": "Send sessions to a remote, with the files of their calls.",
    "fetch": "Bring sessions from a remote, with the files of their calls.",
    "close": "Remove the worktrees of idle sessions; the branches stay.",
    "archive": "Move finished sessions out of 'git branch'; they stay readable.",
    "import": "Take sessions out of a '.relay' folder of the original file protocol.",
    "worker": "Answer the calls of other machines that share a remote.",
    "queue": "Show the calls that wait at a remote for a worker, and who has them.",
    "peers": "List the peers and what was found of them.",
    "doctor": "Check what calls need, and name the command that fixes what is missing.",
    "install": "Put the skill where the agents look, so that they know how to call.",
    "uninstall": "Remove what 'install' wrote: skills, codex's rule, the server's entries, folders made for them.",
    "template": "Print the request that would be sent, and send nothing.",
    "mcp": "Serve the verbs as tools on stdin and stdout, to an agent that may not run a shell.",
    "completion": "Print or install completion for bash, zsh or fish.",
    "help": "Show a page of the documents, or the help of a verb.",
    "demo": "Show in a throw-away repository what gitrelay is for.",
}

# the first verb of each group of VERBS -> the group's heading
_HEADINGS: Final[dict[str, str]] = {
    "req": "Calling",
    "watch": "Reading",
    "apply": "Using an answer",
    "fsck": "Auditing",
    "review": "Before a push",
    "push": "Sharing",
    "close": "Keeping house",
    "worker": "Other machines",
    "peers": "Setting up",
}


def grouped() -> dict[str, list[str]]:
    """heading -> its verbs, in the order of VERBS."""
    groups: dict[str, list[str]] = {}
    heading = ""
    for verb in VERBS:
        heading = _HEADINGS.get(verb, heading)
        groups.setdefault(heading, []).append(verb)
    return groups


def module_of(verb: str) -> str:
    """The name of a verb's module below `gitrelay.cli.verbs`; 'import' is a word of python's."""
    return "import_" if verb == "import" else verb.replace("-", "_")


_LOST_OUTPUT: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a write to a stream, which has no name
_SHOWN: Final = 60  # characters of a bad value
_WIDEST: Final = 100  # cells of a line of help


class Verbs(click.Group):
    """The group of verbs; a module is imported when its verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        import importlib

        command: click.Command = importlib.import_module(f"gitrelay.cli.verbs.{module_of(cmd_name)}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, VERBS, n=1)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no verb {name!r}{meant}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Verbs with their one-line help; click would load each of them for that."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(verb, help=text) for verb, text in VERBS.items() if verb.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for heading, verbs in grouped().items():
            with formatter.section(heading):
                formatter.write_dl([(verb.ljust(width), VERBS[verb]) for verb in verbs])


@click.group(
    cls=Verbs,
    name="git-relay",
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
    epilog="The documents, also words, exit codes and the JSON envelope: git relay help [TOPIC].",
)
@click.option("-C", "folder", type=click.Path(), help="Run as if started in this folder.")
@click.option("--no-pager", is_flag=True, help="Do not page what is read on a terminal.")
@click.version_option(__version__, "-V", "--version", prog_name="git-relay", message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context, folder: str | None, no_pager: bool) -> None:
    """One coding agent calls another like a function, and git remembers.

    Each request and each response is a commit on the branch relay/SESSION; read it with
    'git log relay/SESSION'.
    """
    if no_pager:
        os.environ["GIT_PAGER"] = "cat"  # as `git --no-pager` does
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as e:
            raise click.UsageError(f"-C {folder!r}: {e.strerror}") from None
    try:
        os.getcwd()
    except OSError:
        raise click.UsageError("the current folder does not exist any more") from None
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(USAGE)


def run(args: Sequence[str]) -> int:
    """The whole program: words -> exit code. Never raises."""
    environment.scrub()
    json_wanted = "--json" in (args[: args.index("--")] if "--" in args else args)
    verb = next((a for a in args if a in VERBS), "")
    stdout = sys.stdout
    try:
        try:
            words, width = _long_help(args), _width()
            code = group.main(words, prog_name="git-relay", standalone_mode=False, terminal_width=width)
            sys.stdout.flush()
        except SystemExit as e:
            if sys.stdout is not stdout:  # click has put a wrapper there, because the reader of our output has gone
                return 0
            return e.code if isinstance(e.code, int) else 1
        except BrokenPipeError:
            # the reader of our output has gone; python would complain once more when it flushes at exit
            _drop_output()
            return 0
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as e:
        return e.exit_code
    except (Exception, KeyboardInterrupt) as e:
        return _report(verb, *_failure(e, verb, args), json_wanted and not _is_lost_output(e))


def _long_help(args: Sequence[str]) -> list[str]:
    """`args` with `--help` for a `-h` of the program or of a verb: click looks for names like `-h` among the long
    options first, and loads difflib for that."""
    words = list(args)
    at = 1 if words[:1] and words[0] in VERBS else 0
    if words[at : at + 1] == ["-h"]:
        words[at] = "--help"
    return words


def _width() -> int:
    """The cells of a line of help: 50 to 98, as click counts them, but without loading shutil for it."""
    columns = os.environ.get("COLUMNS", "")
    cells = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 7 else 0
    if not cells:
        try:
            cells = os.get_terminal_size(1).columns
        except OSError:
            cells = 0
    return max(min(cells or 80, _WIDEST) - 2, 50)


def _failure(error: BaseException, verb: str, args: Sequence[str]) -> tuple[int, str, str, str]:
    """(exit code, word, message, hint) for what has ended a verb."""
    if isinstance(error, click.Abort) or (interrupts.among(error) and not isinstance(error, Interrupted)):
        return INTERRUPTED, "interrupted", "interrupted", ""
    if isinstance(error, RelayError):
        return error.exit_code, error.code, error.message, error.hint
    if _is_lost_output(error):
        _drop_output()
        what = f"the output cannot be written: {error.strerror}"
        return NO_ANSWER, Code.CANNOT_WRITE, what, "what was recorded stays recorded: 'git relay log'"
    if isinstance(error, click.ClickException):
        hint = f"'git relay {verb} -h' shows the options" if verb else "'git relay -h' lists the verbs"
        return USAGE, "usage", _shortened(error.format_message(), args), hint
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        from gitrelay.ground.text import quote

        name = os.path.basename(os.fsdecode(error.filename or ""))
        return USAGE, "usage", f"{quote(name)} is too long for a path", ""
    from gitrelay.cli.crash import report_bug

    return BUG, "bug", *report_bug(error, args)


def _is_lost_output(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.filename is None and error.errno in _LOST_OUTPUT


def _drop_output() -> None:
    """Nobody reads the output, or it is full; python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _shortened(message: str, args: Sequence[str]) -> str:
    """What click says of a bad value, with long values cut and strange ones escaped as everywhere else."""
    from gitrelay.ground.text import quote

    for word in sorted({part for arg in args for part in (arg, arg.partition("=")[2])}, key=len, reverse=True):
        if len(word) > _SHOWN or not word.isprintable():
            message = message.replace(repr(word), quote(word)).replace(word, quote(word)[1:-1])
    return message.replace("is not a valid integer range", "is not a whole number")


def _report(verb: str, exit_code: int, code: str, message: str, hint: str, json_wanted: bool) -> int:
    from gitrelay.cli.output import envelope, one_line

    if json_wanted:
        click.echo(envelope(verb, exit_code, None, [{"code": code, "message": message, "hint": hint}]))
    else:
        click.echo(one_line(message, hint), err=True)
    return exit_code
