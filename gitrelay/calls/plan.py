"""A request whose every word has been checked: what `call` works with, so that nothing half-right is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.calls import settings
from gitrelay.calls.settings import CallSettings, Given
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ledger import redaction
from gitrelay.peers import registry
from gitrelay.process.values import Limits
from gitrelay.protocol import frontmatter, names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.text import plain, quote, quote_path

KEY_MAX: Final = 200
CHECK_MAX: Final = 1000  # it stands in a trailer


@dataclass(frozen=True)
class Plan:
    """A request whose every word has been checked."""

    task: str
    to: str
    from_: str
    chosen: CallSettings
    key: str | None
    checks: tuple[str, ...]
    check_limit: float | None


def make(
    repo: Repository,
    *,
    task: str,
    to: str,
    from_: str | None,
    files: Sequence[str],
    given: Given,
    key: str | None,
    invoke: bool,
) -> Plan:
    if invoke and repo.top is None:
        raise UsageError(
            f"{quote_path(repo.git_dir)} is a bare repository: a peer has no working tree to work in",
            hint="call from a clone or a linked worktree; '--no-invoke' only records the request",
            code=Code.BARE_REPOSITORY,
        )
    if invoke:
        chosen = settings.for_call(repo, registry.find(repo, to), given)
        settings.peer_environment(repo, to)  # a bad one is a usage error now, not a failed call later
    else:
        chosen = CallSettings(given.access or "write", given.model, given.effort, Limits())
    if key is not None and (plain(key) != key or not key or len(key) > KEY_MAX):
        raise UsageError(
            f"--key {quote(key)} is not a key",
            hint=f"one line of at most {KEY_MAX} printable characters",
            code=Code.BAD_KEY,
        )
    if key is not None and redaction.redactor(repo).redact(key).total:
        raise UsageError(
            "--key looks like a secret, and a key is recorded", hint="use a word of your own", code=Code.BAD_KEY
        )
    return Plan(
        task=_task(task, files),
        to=names.check_slug(to, "--to"),
        from_=settings.caller(repo, from_),
        chosen=chosen,
        key=key,
        checks=tuple(checked(command) for command in given.checks),
        check_limit=settings.check_limit(repo) if given.checks else None,
    )


def checked(command: str) -> str:
    """A check's command. Raises UsageError for what cannot be recorded as one."""
    if not command.strip() or "\0" in command or not command.isprintable() or len(command) > CHECK_MAX:
        raise UsageError(
            f"--check {quote(command)} is not a command",
            hint=f"one line of at most {CHECK_MAX} characters; put more into a script",
            code=Code.BAD_CHECK,
        )
    return command


def _task(task: str, files: Sequence[str]) -> str:
    """The task with its file references. Raises UsageError for an empty, too large or binary one."""
    if not task.strip():
        raise UsageError("the task is empty", hint="say what the peer is to do, or pipe it in", code=Code.EMPTY_TASK)
    if files:
        task = task + "\n\nFiles:\n" + "\n".join(f"- {file}" for file in files)
    try:
        data = task.encode()
        if len(data) > frontmatter.MAX_BYTES - 4096:
            raise UsageError(
                f"the task has {len(data)} bytes; at most {frontmatter.MAX_BYTES - 4096} can be recorded",
                hint="put the material into a file and refer to it with --file",
                code=Code.TASK_TOO_LARGE,
            )
        frontmatter.decode(data)
    except UnicodeEncodeError as e:
        raise UsageError(
            f"the task is not valid text: {quote(task[max(0, e.start - 10) : e.end + 10])}",
            hint="it must be UTF-8",
            code=Code.BAD_TASK,
        ) from None
    except BadMessage as e:
        raise UsageError(
            f"the task is not text: {e}", hint="refer to binary files with --file", code=Code.BAD_TASK
        ) from None
    return task
