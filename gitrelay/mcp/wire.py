"""JSON-RPC 2.0, one message a line, as the Model Context Protocol has it on stdin and stdout. Nothing of it is trusted.

What cannot be read is one `Fault`, and the next line is read as if nothing had happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, BinaryIO, Final

from gitrelay.ground.value import dataclass

MAX_BYTES: Final = 8 * 1024 * 1024  # of one line; a task may have 4 MiB, and JSON may escape each of its bytes
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
NO_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
UNSUPPORTED_VERSION: Final = -32022  # of MCP, since 2026-07-28
_ID_MAX: Final = 1000  # characters


@dataclass(frozen=True)
class Message:
    """A request (`id` and `method`), a notification (`method` alone), or the answer to a request of ours (`id` alone).

    `params` is the params of the first two, `{}` if there are none; the result of the third, `{}` for an error.
    """

    id: str | int | None
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Fault(Exception):
    """A message, or a request, that cannot be served: one line, a code of JSON-RPC, and the id if it is known."""

    def __init__(self, code: int, message: str, *, id_: str | int | None = None, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id_
        self.data = data


def messages(stream: BinaryIO) -> Iterator[Message | Fault]:
    """What comes in, until the stream ends. A line that is too long is passed over, and never held in memory."""
    while line := stream.readline(MAX_BYTES + 1):
        if len(line) > MAX_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_BYTES)
            yield Fault(INVALID_REQUEST, f"the message has more than {MAX_BYTES} bytes")
        elif line.strip():
            try:
                yield parsed(line)
            except Fault as fault:
                yield fault


def parsed(line: bytes) -> Message:
    """One line -> a message. Raises Fault."""
    try:
        value = json.loads(line, parse_constant=_no_number)
    except RecursionError:
        raise Fault(PARSE_ERROR, "the message is nested too deeply") from None
    except ValueError:  # not JSON, not UTF-8, a number of more digits than python reads
        raise Fault(PARSE_ERROR, "the message is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        what = "a batch; send one message a line" if isinstance(value, list) else "not an object"
        raise Fault(INVALID_REQUEST, f"the message is {what}")
    id_ = value.get("id")
    if not _is_id(id_):
        raise Fault(INVALID_REQUEST, "the id is neither a number nor a short string")
    if value.get("jsonrpc") != "2.0":
        raise Fault(INVALID_REQUEST, "the message is not JSON-RPC 2.0", id_=id_)
    method = value.get("method")
    if method is None and id_ is not None and ("result" in value or "error" in value):
        result = value.get("result")
        return Message(id_, "", result if isinstance(result, dict) else {})
    if not isinstance(method, str) or not method:
        raise Fault(INVALID_REQUEST, "the message has no method", id_=id_)
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise Fault(INVALID_PARAMS, "the params are not an object", id_=id_)
    return Message(id_, method, params)


def line_of(value: Mapping[str, Any]) -> bytes:
    """A message as its line. Lone surrogates, which JSON may escape and UTF-8 does not have, stay escaped."""
    return json.dumps({"jsonrpc": "2.0", **value}).encode() + b"\n"


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _ID_MAX
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _no_number(word: str) -> float:
    raise ValueError(word)
