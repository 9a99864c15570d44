"""What reads bytes that a peer, a remote or somebody's file may have made, and what must hold for any bytes.

A target is a function of bytes: it returns, or fails an assertion, or raises what it must not. `fuzz.py` searches for
such bytes; `test_seeds.py` tries again, in every run of the tests, all that were ever worth keeping (`seeds/`).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from gitrelay.audit import steps
from gitrelay.cli.output import safe
from gitrelay.errors import UsageError
from gitrelay.git.objects import split_tree
from gitrelay.ground import duration
from gitrelay.ground.text import plain
from gitrelay.peers import registry
from gitrelay.peers.answers import Said
from gitrelay.peers.base import Invocation
from gitrelay.peers.registry import BUILT_IN
from gitrelay.peers.responses import Address
from gitrelay.protocol import message, names
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Request
from gitrelay.redact import Redactor

SEEDS: Final = Path(__file__).parent / "seeds"


def seeds(target: str) -> list[bytes]:
    """The inputs that are kept for a target: a line of its file each, as Python writes bytes."""
    file = SEEDS / f"{target}.txt"
    return [ast.literal_eval(row) for row in file.read_text().splitlines()] if file.exists() else []


def keep(target: str, found: Iterable[bytes]) -> int:
    """Add inputs to those of a target; returns how many were new."""
    known = seeds(target)
    both = {*known, *found}
    (SEEDS / f"{target}.txt").write_text("".join(f"{data!r}\n" for data in sorted(both, key=lambda d: (len(d), d))))
    return len(both) - len(set(known))


def request(data: bytes) -> None:
    """A request, or the line at fault; what was read is written as it was read."""
    try:
        found = message.parse_request(data, "s")
    except BadMessage as e:
        _one_line(e)
        return
    assert message.parse_request(found.render(), "s") == found
    assert names.is_id(found.id) and names.is_slug(found.from_) and names.is_slug(found.to)


def response(data: bytes) -> None:
    try:
        found = message.parse_response(data)
    except BadMessage as e:
        _one_line(e)
        return
    assert message.parse_response(found.render()) == found
    assert found.status in message.STATUSES and found.verify in message.VERDICTS
    assert found.reason is None or found.status == "error"


def structured(data: bytes) -> None:
    try:
        found = message.structured(json.loads(data))
    except BadMessage as e:
        _one_line(e)
        return
    except (ValueError, RecursionError):
        return  # no JSON
    assert found[0] in message.STATUSES and found[1] in message.VERDICTS and found[2].strip()


def words(data: bytes) -> None:
    """The final words of a peer that was asked in words."""
    text = data.decode("utf-8", "replace")
    said = Said(Address.of(_call("gemini")))
    said.say(text)
    answer, fault = said.answer(in_words=True)
    assert (answer is None) == bool(fault) or not text.strip()
    assert answer is None or answer.body.strip()
    assert said.answer(in_words=False)[0] in (None, answer)


def commit(data: bytes) -> None:
    """A raw commit object, as a remote may push one."""
    found = steps.links(data)
    if found is not None:
        parsed = steps.parse_commit("0" * 40, data, *found)
        assert parsed is None or all("\n" not in part for pair in parsed.trailers.items() for part in pair)


def tree(data: bytes) -> None:
    try:
        found = split_tree(data, 20)
    except ValueError:
        return
    assert b"".join(entry for _, entry in found) == data


def trailer(data: bytes) -> None:
    parse_trailer(data.decode("utf-8", "replace"))


def line(data: bytes) -> None:
    """What becomes one line of a commit message, or is shown on a terminal: no control or format character is left."""
    text = data.decode("utf-8", "surrogateescape")
    said = plain(text)
    assert said == safe(said) and "\n" not in said and said == said.strip()
    assert safe(safe(text)) == safe(text)


def address(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        assert str(names.parse_address(text)) in (text, text.partition("/")[0])
    except UsageError as e:
        assert "\n" not in e.message
    try:
        assert duration.parse(text, "--wait") >= 0
    except UsageError as e:
        assert "\n" not in e.message


def redaction(data: bytes) -> None:
    """What is redacted once stays so; a stream takes out at least as much, however its pieces are cut."""
    redactor = Redactor()
    text = data.decode("utf-8", "replace")
    once = redactor.redact(text)
    assert redactor.redact(once.text).text == once.text
    stream = redactor.stream()
    cut = len(data) // 2
    out = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.close()
    assert not redactor.find(out.decode("utf-8", "replace"))


def _call(peer: str) -> Invocation:
    return Invocation(Request("01", "uma", peer, "Look.", "s").render().decode(), Path("/"), Path("/"), "write")


def _events(peer: str) -> Callable[[bytes], None]:
    call = _call(peer)
    describe = registry._module(peer).describe

    def read(data: bytes) -> None:
        """What the peer prints, in two pieces; each event also as the line that is shown of it."""
        reader = BUILT_IN[peer].reader(call)
        cut = len(data) // 2
        reader.feed(data[:cut])
        reader.feed(data[cut:])
        found = reader.transcript(0)
        found.text.encode("utf-8", "surrogatepass")
        if found.answer is not None and found.answer.data is None:
            assert found.answer.status in message.STATUSES and found.answer.verify in message.VERDICTS
        for key, value in found.usage.items():
            assert " " not in key + value and "=" not in key + value
        for row in data.split(b"\n"):
            try:
                event = json.loads(row)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                assert isinstance(describe(event), str | None)

    return read


def _one_line(e: BadMessage) -> None:
    assert e.line >= 1 and e.why and "\n" not in str(e)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "request": request,
    "response": response,
    "structured": structured,
    "words": words,
    "commit": commit,
    "tree": tree,
    "trailer": trailer,
    "line": line,
    "address": address,
    "redaction": redaction,
    **{peer: _events(peer) for peer in ("claude", "codex", "gemini", "opencode")},
}
