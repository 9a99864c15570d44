"""Relay protocol v4: requests and responses as values and as bytes. Pure, no I/O.

Invariants: `parse(render(x)) == x` for every valid value; `render` always adds the one newline a file
ends with and `parse` takes exactly that one away, so a body's own blanks survive; nothing in a body,
however much it looks like front matter or a Reply block, is read as ours.
python-frontmatter reads the front matter block; the body is cut out here, because the library strips it.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import Final

from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.protocol import footer, names, question
from gitrelay.protocol.footer import Form
from gitrelay.protocol.frontmatter import BadMessage, cut_header, decode, expect, split_header
from gitrelay.protocol.words import Status, Verify

PROTOCOL: Final = "4"
STATUSES: Final = tuple(Status)
VERDICTS: Final = tuple(Verify)
# the files of a session: <id>.req.md, <id>.res.md, <id>.check.md, <id>.check-2.md
FILE: Final = re.compile(r"(.+)\.(req|res|(?:check|apply)(?:-[1-9][0-9]*)?)\.md")


@dataclass(frozen=True)
class Parties:
    """The parties of an exchange: its id, the caller and the peer."""

    id: str
    from_: str
    to: str


@dataclass(frozen=True)
class Request:
    """What a caller asks: `<id>.req.md`. `session` decides the Reply path and whether there is a Context line.

    `form` is how it ends, which is no part of what it asks.
    """

    id: str
    from_: str
    to: str
    task: str
    session: str
    form: Form = field(default_factory=Form, compare=False)

    @property
    def file(self) -> str:
        return request_file(self.id)

    @property
    def footer(self) -> str:
        folder = f".relay/{self.session}"
        context = "" if self.id == self.session else f"Context: read all .md files in {folder}/ in order first\n"
        values = {
            "id": self.id,
            "session": self.session,
            "from": self.from_,
            "to": self.to,
            "reply": f"{folder}/{response_file(self.id)}",
            "context": context,
        }
        return footer.filled(self.form, values)

    def render(self) -> bytes:
        head = f"---\nrelay: {PROTOCOL}\nid: {self.id}\nfrom: {self.from_}\nto: {self.to}\n---\n\n"
        return (head + self.task + "\n\n" + self.footer).encode()


@dataclass(frozen=True)
class Response:
    """What a peer answers: `<id>.res.md`. `reason` only if status is error."""

    re: str
    from_: str
    to: str
    status: str
    verify: str
    body: str
    reason: str | None = None

    @property
    def file(self) -> str:
        return response_file(self.re)

    def render(self) -> bytes:
        reason = f"reason: {self.reason}\n" if self.reason else ""
        head = (
            f"---\nrelay: {PROTOCOL}\nre: {self.re}\nfrom: {self.from_}\nto: {self.to}\n"
            f"status: {self.status}\nverify: {self.verify}\n{reason}---\n\n"
        )
        return (head + self.body + "\n").encode()


def request_file(id_: str) -> str:
    return f"{id_}.req.md"


def response_file(id_: str) -> str:
    return f"{id_}.res.md"


def check_file(id_: str, number: int) -> str:
    """The file of the `number`th check of an exchange: `01.check.md`, then `01.check-2.md`."""
    return f"{id_}.check.md" if number == 1 else f"{id_}.check-{number}.md"


def apply_file(id_: str, number: int) -> str:
    """The file of the `number`th time that an exchange was applied: `01.apply.md`, then `01.apply-2.md`."""
    return f"{id_}.apply.md" if number == 1 else f"{id_}.apply-{number}.md"


def parse_request(data: bytes, session: str) -> Request:
    """Bytes of a request file -> Request. Raises BadMessage."""
    fields, body, body_line = split_header(data)
    expect(fields, "relay", (PROTOCOL,))
    id_ = expect(fields, "id", names.is_id)
    from_ = expect(fields, "from", names.is_slug)
    to = expect(fields, "to", names.is_slug)
    return Request(id=id_, from_=from_, to=to, task=_task(body, body_line), session=session)


def task_of(data: bytes) -> str:
    """The task of a request that gitrelay wrote, without reading its front matter. Raises BadMessage."""
    _, body, line = cut_header(data)
    return _task(body, line)


def _task(body: str, line: int) -> str:
    """What is before the last Reply block; earlier ones are the task's own."""
    starts = [block.start() for block in footer.BEGINS.finditer(body)]
    if not starts:
        raise BadMessage(line, "no '---' line followed by 'Reply:' after the task")
    task = body[: starts[-1]]
    if not task.endswith("\n\n"):
        raise BadMessage(line, "no blank line between the task and the Reply block")
    return task[:-2]


def parse_response(data: bytes) -> Response:
    """Bytes of a response file -> Response. Raises BadMessage with the line at fault."""
    fields, body, _ = split_header(data)
    expect(fields, "relay", (PROTOCOL,))
    status = expect(fields, "status", STATUSES)
    reason = fields.get("reason")
    if reason is not None and status != Status.ERROR:
        raise BadMessage(reason.line, "a reason is allowed only if status is error")
    return Response(
        re=expect(fields, "re", names.is_id),
        from_=expect(fields, "from", names.is_slug),
        to=expect(fields, "to", names.is_slug),
        status=status,
        verify=expect(fields, "verify", VERDICTS),
        body=body.removesuffix("\n"),
        reason=expect(fields, "reason", names.is_slug) if reason is not None else None,
    )


def structured(value: object) -> tuple[str, str, str]:
    """(status, verify, body) of a structured answer; a question that it asks begins the body. Raises BadMessage."""
    if not isinstance(value, dict):
        raise BadMessage(1, "the structured answer is not an object")
    asked = question.of_value(value) if question.asks(value) else None
    if asked is not None and isinstance(value.get("body"), str | None):
        value = value | {"body": question.body_of(asked, value.get("body") or "")}
    answer = []
    for key, allowed in (("status", STATUSES), ("verify", VERDICTS), ("body", None)):
        field = value.get(key)
        if not isinstance(field, str) or (allowed is not None and field not in allowed):
            raise BadMessage(1, f"structured answer: {key} is {_shown(field)}")
        answer.append(field)
    body = answer[2].encode("utf-8", "replace").decode()  # JSON may escape lone surrogates; UTF-8 has none
    if not body.strip():
        raise BadMessage(1, "structured answer: the body is empty")
    decode(body.encode())
    return answer[0], answer[1], body.removesuffix("\n")


def _shown(value: object) -> str:
    try:
        return quote(json.dumps(value)[:200])
    except RecursionError:
        return "nested too deeply"
