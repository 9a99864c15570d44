"""Takes secrets out of messages before they are recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.protocol.footer import Form
from gitrelay.protocol.frontmatter import MAX_BYTES, BadMessage
from gitrelay.protocol.message import Request, Response, parse_request, parse_response

if TYPE_CHECKING:
    from gitrelay.redact import Redactor


def redactor(repo: Repository) -> Redactor:
    """The rules for secrets with the user's own patterns, `relay.redact`. Raises UsageError that quotes a bad one."""
    from gitrelay.redact import BadPattern, Redactor

    values = repo.config.get("relay.redact", [])
    try:
        return Redactor([pattern for pattern, _ in values])
    except BadPattern as e:
        where = next(where for pattern, where in values if pattern == e.pattern)
        raise UsageError(
            f"relay.redact {quote(e.pattern)} in {where} is not a regular expression: {e.why}",
            hint="fix it, or take it out: git config --unset-all relay.redact",
            code=Code.BAD_CONFIG,
        ) from None


def redacted_request(
    redactor: Redactor, request: Request, data: bytes | None = None
) -> tuple[Request, bytes, Mapping[str, int]]:
    """(the request, its file, how many secrets each rule took out); `data` is the file as somebody else wrote it.

    Raises UsageError if what replaces them makes it too large.
    """
    data = request.render() if data is None else data
    found = redactor.redact(data.decode())
    if not found.total:
        return request, data, {}
    data = found.text.encode()
    try:
        clean = parse_request(data, request.session)
        if (clean.id, clean.from_, clean.to) == (request.id, request.from_, request.to):
            return clean, data, found.counts
    except BadMessage as e:
        if len(data) > MAX_BYTES:
            raise UsageError(
                f"the task is too large once it is redacted: {e.why}",
                hint="put the material into a file and refer to it with --file",
                code=Code.TASK_TOO_LARGE,
            ) from None
    clean = replace(request, task=redactor.redact(request.task).text, form=Form())  # a secret may be in its form
    return clean, clean.render(), found.counts


def redacted_response(
    redactor: Redactor, response: Response, data: bytes | None = None, limit: int = MAX_BYTES
) -> tuple[Response, bytes, Mapping[str, int]]:
    """(the response, its file, how many secrets each rule took out); `data` is the file as the peer wrote it.

    Its front matter stays as it is, unless a secret in it cannot be taken out without breaking it: then the known
    keys are all that is left. A body that redaction makes larger than `limit` bytes loses its end.
    """
    data = response.render() if data is None else data
    found = redactor.redact(data.decode())
    if not found.total:
        return response, data, {}
    data = found.text.encode()
    known = replace(response, body="")
    with contextlib.suppress(BadMessage):
        clean = parse_response(data)
        if len(data) <= limit and replace(clean, body="") == known:
            return clean, data, found.counts
    reason = response.reason
    if reason is not None and redactor.redact(reason).total:
        reason = "peer-failed"
    body = redactor.redact(response.body).text
    clean = replace(response, body=body, reason=reason)
    room = limit - len(clean.render())
    if room < 0:
        cut = body.encode()[: room - 64].decode("utf-8", "ignore")
        clean = replace(clean, body=cut + "\n[... cut here: redacted, it was too large]")
    return clean, clean.render(), found.counts


def counted(counts: Mapping[str, int]) -> str:
    """`2 secrets were redacted (github-token, password)`."""
    total = sum(counts.values())
    return f"{total} secret{'s were' if total > 1 else ' was'} redacted ({', '.join(sorted(counts))})"
