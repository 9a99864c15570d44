"""The response that a text holds: a response file or a JSON object of the schema, whatever is around it.

A response counts if it is valid, addressed to the request and no echo of it. Two that contradict each other are none;
a text that begins with a response file is that file, whatever it quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.peers.base import Answer, Invocation
from gitrelay.protocol import frontmatter, message, question
from gitrelay.protocol.frontmatter import BadMessage

_PLACES: Final = 100  # places of one text at which an answer is looked for
_ECHO: Final = 400  # characters by which an echo of the request is known

# the first lines of a response file, wherever it begins, with the code fence before it
_FILE: Final = re.compile(
    r"^(?:[ \t]*(?P<fence>`{3,}|~{3,})[\w-]*[ \t]*\r?\n)?"
    r"(?P<file>(?P<indent>[ \t]*)---[ \t]*\r?\n[ \t]*(?:relay|re|from|to|status|verify)[ \t]*:)",
    re.MULTILINE,
)
_CHOICE: Final = re.compile(r"^\s*(?:status|verify): *\w+ \| ", re.MULTILINE)  # the Format block itself
_TRAILING: Final = re.compile(r"[ \t]+$", re.MULTILINE)  # a terminal's width, filled up
_OBJECT: Final = re.compile(r'\{\s*"')
_FENCED_OBJECT: Final = re.compile(r"(?:^|\n)[ \t]*(?:`{3,}|~{3,})[\w-]*[ \t]*\r?\n\s*\Z")
_FENCE_END: Final = re.compile(r"\A\s*?\n?[ \t]*(?:`{3,}|~{3,})[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True)
class Address:
    """Whom a response has to be addressed to, as the request's Format block says; `request` is its text, whole."""

    fields: Mapping[str, str]
    request: str

    @classmethod
    def of(cls, call: Invocation) -> Address:
        return cls(dict(re.findall(r"^  (re|from|to): (\S+)$", call.prompt, re.MULTILINE)), call.prompt)

    def mismatch(self, found: Mapping[str, object]) -> str:
        """What is wrong with the address `found`, '' if nothing is."""
        for key, wanted in self.fields.items():
            if found.get(key) != wanted:
                return f"{key} is {found.get(key)!r}, expected {wanted!r}"
        return ""

    @cached_property
    def _squeezed_request(self) -> str:
        return squeezed(self.request)

    def is_echo(self, text: str) -> bool:
        """Whether `text` begins as a part of the request does: who only repeats the request gives no answer."""
        return squeezed(text[: 10 * _ECHO])[:_ECHO] in self._squeezed_request


def squeezed(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class Found:
    """An answer in a text, where it begins and ends there."""

    answer: Answer
    start: int
    end: int


def answer_in(text: str, address: Address, *, banners: bool = False) -> tuple[Answer | None, str]:
    """The structured answer that `text` holds, as a JSON object or as a response file: (answer, fault).

    (None, '') for words. A text that begins with a response file is that file, whatever it quotes.
    """
    if _FILE.match(text) and text.startswith("---"):
        return _whole_file(text, address)
    faults: list[str] = []
    files = list(_files(text, address, faults))
    first = min((found.start for found in files), default=len(text))
    objects = list(_objects(text[:first], address, faults))
    every = [*objects, *files]
    if not every:
        return None, next(iter(faults), "")
    verdicts = {(found.answer.status, found.answer.verify) for found in every}
    if len(verdicts) > 1:
        said = ", ".join(sorted(f"{status}/{verify}" for status, verify in verdicts))
        return None, f"it holds answers that contradict each other: {said}"
    chosen = objects[-1] if objects else files[0]
    if banners:
        return chosen.answer, ""
    return with_words(chosen, text), ""


def with_words(found: Found, text: str) -> Answer:
    """The answer with the words that stood around it: a model said them too."""
    before = _FENCED_OBJECT.sub("", text[: found.start]).strip()
    after = _FENCE_END.sub("", text[found.end :]).strip()
    if not before and not after:
        return found.answer
    parts = (before, found.answer.body, after)
    body = "\n\n".join(part for part in (parts if found.answer.reason is None else (parts[1], *parts[::2])) if part)
    return Answer(found.answer.status, found.answer.verify, body, reason=found.answer.reason)


def _whole_file(text: str, address: Address) -> tuple[Answer | None, str]:
    data = text.encode() if text.endswith("\n") else text.encode() + b"\n"
    try:
        response = message.parse_response(data)
    except BadMessage as e:
        return None, str(e)
    if not response.body.strip():
        return None, "the body is empty"
    wrong = address.mismatch({"re": response.re, "from": response.from_, "to": response.to})
    if wrong:
        return None, wrong
    return Answer(response.status, response.verify, response.body, data, reason=response.reason), ""


def structured_answer(value: object) -> Answer:
    """The answer that a value of the schema gives. Raises BadMessage."""
    status, verify, body = message.structured(value)
    asks = isinstance(value, Mapping) and question.asks(value)
    return Answer(status, verify, body, reason=question.NEEDS_INPUT if asks else None)


def _files(text: str, address: Address, faults: list[str]) -> Iterator[Found]:
    """The response files in `text` that are valid and addressed to the request; what is wrong with others of ours."""
    at = 0
    for _ in range(_PLACES):
        start = _FILE.search(text, at)
        if start is None:
            return
        at = start.end()
        file, end = _cut_file(text, start)
        if _CHOICE.search(file[:_ECHO]):
            continue
        found, fault = _whole_file(file, address)
        if found is not None:
            if address.is_echo(file):
                continue
            yield Found(found, start.start(), end)
        elif fault and _is_ours(file, address):
            faults.append(fault)


def _cut_file(text: str, start: re.Match[str]) -> tuple[str, int]:
    """(the file that begins at `start`, without its indentation and its fence; where it ends)."""
    end = len(text)
    if start["fence"]:
        closing = list(re.finditer(rf"^[ \t]*{start['fence']}[ \t]*\r?$", text[start.end() :], re.MULTILINE))
        if closing:
            end = start.end() + closing[-1].start()
    file = text[start.start("file") : end]
    if start["indent"]:
        file = re.sub(rf"^{start['indent']}", "", file, flags=re.MULTILINE)
    head, closing_line, body = file[3:].partition("\n---")
    return "---" + _TRAILING.sub("", head) + closing_line + body, end


def _is_ours(file: str, address: Address) -> bool:
    """Whether a response file that is not valid was meant for the request: it names it, or names none."""
    found = re.search(r"^re:[ \t]*['\"]?([^\s'\"]+)", file[: frontmatter.MAX_HEADER], re.MULTILINE)
    return found is None or found[1].lstrip("0") == address.fields.get("re", "").lstrip("0")


def _objects(text: str, address: Address, faults: list[str]) -> Iterator[Found]:
    """The JSON objects of the schema in `text`; an object that was meant for one and is broken is a fault."""
    at = 0
    decoder = json.JSONDecoder(strict=False)
    for _ in range(_PLACES):
        start = _OBJECT.search(text, at)
        if start is None:
            return
        at = start.start() + 1
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            if not text[: start.start()].strip() and '"verify"' in text:
                faults.append("its final message is JSON that is broken or cut off")
            continue
        alone = not text[: start.start()].strip() and not text[end:].strip()
        own = value.keys() & {"status", "verify", "body"}
        if not (own >= {"status", "verify"} or (alone and own == value.keys())):
            continue  # something else, or a wrapper whose inside may be the answer
        at = end
        try:
            answer = structured_answer(value)
        except BadMessage as e:
            if alone or len(own) == 3:
                faults.append(str(e))
            continue
        addressed = {key: value[key] for key in address.fields if key in value}
        echo = not alone and address.is_echo(text[start.start() : end])
        if not echo and not (addressed and address.mismatch({**address.fields, **addressed})):
            yield Found(answer, start.start(), end)
