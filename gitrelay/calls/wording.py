"""What people may change in the requests themselves: `relay.pattern`, `relay.footer` and `relay.verify`.

Read from git config only. A value is the text, or the absolute path of a file that has it, which may not be in the
working tree: who can push to a branch must not be able to change what is asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.protocol import footer, frontmatter
from gitrelay.protocol.footer import Form
from gitrelay.protocol.frontmatter import BadMessage

VERIFY: Final = "\0verify"  # stands for a --check without a value; no word of a command line holds a NUL
CHECK_MAX: Final = 1000  # it is in a trailer
_TEXT_MAX: Final = 64 * 1024  # bytes of a pattern or a footer


def form(repo: Repository, peer: str) -> Form:
    """How requests to `peer` end. Raises UsageError that names the setting, and the line at fault."""
    pattern, where = "", ""
    for name in (f"relay.{peer}.pattern", "relay.pattern"):
        if name in repo.config:
            pattern, where = _text(repo, name)
            break
    template, of_template = _text(repo, "relay.footer") if "relay.footer" in repo.config else (footer.TEMPLATE, "")
    fault = footer.fault_of_template(template)
    if fault is not None:
        raise _refused(of_template, template, *fault)
    fault = footer.fault_of_pattern(pattern)
    if fault is not None:
        raise _refused(where, pattern, *fault)
    return Form(template, pattern, tuple(verify(repo)))


def verify(repo: Repository) -> list[str]:
    """The commands of `relay.verify`. Raises UsageError for one that is no check."""
    return [checked(command, f"relay.verify in {where}:") for command, where in repo.config.get("relay.verify", [])]


def checked(command: str, what: str = "--check") -> str:
    """A check's command. Raises UsageError for what cannot be recorded as one."""
    if not command.strip() or "\0" in command or not command.isprintable() or len(command) > CHECK_MAX:
        raise UsageError(
            f"{what} {quote(command)} is not a command",
            hint=f"one line of at most {CHECK_MAX} characters; put more into a script",
            code=Code.BAD_CHECK,
        )
    return command


def _text(repo: Repository, name: str) -> tuple[str, str]:
    """(the text of a setting, where it is from); a value that is an absolute path names a file."""
    value, where = repo.config[name][-1]
    what = f"{name} in {where}"
    data = value.encode()
    if "\n" not in value and value.startswith(("/", "~/")):
        path = environment.home(os.environ) / value[2:] if value.startswith("~/") else Path(value)
        data, what = _read(repo, path, what), f"{name}, {quote_path(path)}"
    if len(data) > _TEXT_MAX:
        raise UsageError(f"{what} has {len(data)} bytes", hint=f"at most {_TEXT_MAX}", code=Code.BAD_CONFIG)
    try:
        return frontmatter.decode(data).replace("\r\n", "\n"), what
    except BadMessage as e:
        raise UsageError(f"{what} is not text: {e}", hint="it must be UTF-8", code=Code.BAD_CONFIG) from None


def _read(repo: Repository, path: Path, what: str) -> bytes:
    real = Path(os.path.realpath(path))
    if repo.top is not None and real.is_relative_to(os.path.realpath(repo.top)):
        raise UsageError(
            f"{what} names {quote_path(path)}, which is in the working tree",
            hint="name a file outside of it: who can push to a branch must not change what is asked",
            code=Code.BAD_CONFIG,
        )
    try:
        if not real.is_file():
            raise OSError(0, "it is not a file")
        with real.open("rb") as f:
            return f.read(_TEXT_MAX + 1)
    except OSError as e:
        raise UsageError(
            f"{what} names {quote_path(path)}, which cannot be read: {e.strerror}",
            hint="write the file, or give the text itself",
            code=Code.BAD_CONFIG,
        ) from None


def _refused(what: str, text: str, line: int, why: str) -> UsageError:
    words = text.split("\n")[line - 1]
    return UsageError(
        f"{what}: line {line}, {quote(words)}: {why}",
        hint="'git relay template' shows a request; docs/template.md has what a footer must keep",
        code=Code.BAD_CONFIG,
    )
