"""Which of the things that a peer said is its answer: one written order for all peers.

1. the structured output of its terminal event; 2. the input of its last structured-output call; 3. the one JSON
object of the schema in its final words; 4. the response file in its final words that is addressed to this request;
5. only for peers that are asked in words: the words. A reply file in the worktree, which the judge of a call knows
and nobody here, comes between 4 and 5.

The final words are what was said after the last tool call. Whatever is invalid, blank, addressed to somebody else or
an echo of the request is no answer and hides none; two answers that contradict each other are none either.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from gitrelay.peers.base import Answer, Invocation
from gitrelay.protocol import frontmatter, message
from gitrelay.protocol.frontmatter import MAX_BYTES, BadMessage

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": list(message.STATUSES)},
        "verify": {"type": "string", "enum": list(message.VERDICTS)},
        "body": {"type": "string", "description": "the whole answer, in markdown"},
    },
    "required": ["status", "verify", "body"],
    "additionalProperties": False,
}

STRUCTURED_LEAD: Final = """\
Answer the request below. Your final message is the answer: status, verify and body (markdown), in the \
structured form you were given; nothing has to be written to a file. verify is pass or fail only for what \
you ran yourself, else skip. If you need to ask something back, say status error and ask it in the body.
"""  # the request's text follows, whole

_EARLIER_MAX: Final = 256 * 1024  # characters that are kept of what was said before the last tool call
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


def written_lead(call: Invocation) -> str:
    """What a peer without a schema for its final message is told before the request: to end with a response file."""
    form = textwrap.dedent(call.prompt.rpartition("\nFormat:\n")[2]).strip()
    return (
        "Answer the request below. Your final message is the answer; nothing has to be written to a file. It "
        "begins with these lines, with no words before them and no code fence around them, and where they say "
        f"'a | b' you choose one:\n\n{form}\n\n"
        "verify is pass or fail only for what you ran yourself, else skip. If you need to ask something back, "
        f"say status: error and ask it in your response.\n{call.continuing}"
    )


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
        return _squeezed(self.request)

    def is_echo(self, text: str) -> bool:
        """Whether `text` begins as a part of the request does: who only repeats the request gives no answer."""
        return _squeezed(text[: 10 * _ECHO])[:_ECHO] in self._squeezed_request


def _squeezed(text: str) -> str:
    return " ".join(text.split())


@dataclass
class _Message:
    """What was said as one message; its text came in one event or in many. `streamed`: word by word."""

    key: object
    text: str = ""
    streamed: bool = False


@dataclass
class Said:
    """All that a peer said, gathered event by event; `answer` chooses at the end. At most MAX_BYTES are kept.

    `glue` stands between messages. `structured` and `calls` are the values of terminal events and of calls of a
    structured-output tool, in their order.
    """

    address: Address
    glue: str = "\n\n"
    structured: list[object] = field(default_factory=list)
    calls: list[object] = field(default_factory=list)
    _messages: list[_Message] = field(default_factory=list)  # since the last tool call
    _size: int = 0
    _earlier: list[str] = field(default_factory=list)  # what was said between two tool calls each

    def say(self, text: str, key: object = None) -> None:
        """Take a piece of the message `key`; a piece that begins with all of it so far stands for it.

        Without a key it is the next piece of what was begun last.
        """
        at = self._message(key)
        if key is not None and at.text.strip():
            if at.streamed and text.strip() in at.text:
                return
            if text.startswith(at.text):
                self._size -= len(at.text)
                at.text = ""
        self._append(at, text)

    def stream(self, text: str, key: object) -> None:
        """Take the next few characters of the message `key`."""
        at = self._message(key)
        at.streamed = True
        self._append(at, text)

    def _append(self, at: _Message, text: str) -> None:
        self._size += len(text)
        if self._size <= MAX_BYTES:
            at.text += text

    def _message(self, key: object) -> _Message:
        last = self._messages[-1] if self._messages else None
        if key is None:
            found = last if last is not None and last.key is None else None
        else:
            found = next((m for m in reversed(self._messages) if m.key == key), None)
        if found is None:
            found = _Message(key)
            self._messages.append(found)
        return found

    def use_tool(self) -> None:
        """A tool was used: what was said until now are not the final words."""
        said = self._joined
        if said.strip():
            self._earlier.append(_utf8(said).lstrip())
            while len(self._earlier) > 1 and sum(map(len, self._earlier)) > _EARLIER_MAX:
                del self._earlier[0]
        self._messages.clear()
        self._size = 0

    def end(self, structured: object, text: str | None) -> None:
        """A terminal event that is no error: its structured output, and its text, which may be cut or blank."""
        if structured is not None and structured not in ("", {}, []):
            self.structured.append(structured)
        if (
            text is None
            or not text.strip()
            or _squeezed(text) in _squeezed(self._joined or "".join(self._earlier[-1:]))
        ):
            return  # the messages have all of it, or more
        last = self._messages[-1] if self._messages else None
        if last is not None and _squeezed(last.text) in _squeezed(text):
            last.text = ""
        self._messages.append(_Message(object(), text[:MAX_BYTES]))

    @property
    def _joined(self) -> str:
        return self.glue.join(m.text for m in self._messages if m.text.strip())

    @property
    def final(self) -> str:
        """The final words, '' for blanks; JSON may escape lone surrogates, UTF-8 has none."""
        return _utf8(self._joined).lstrip()

    @property
    def text(self) -> str:
        """All that was said, for a response that has to show it."""
        known = [*self._earlier, self.final]
        answers = [_body(value) for value in (*self.calls, *self.structured)]
        known += [body for i, body in enumerate(answers) if body and body not in answers[:i]]
        return _utf8("\n\n".join(part.strip("\n") for part in known if part.strip()))

    def answer(self, *, in_words: bool, banners: bool = False) -> tuple[Answer | None, str]:
        """(the answer, what is wrong with the one that was meant), by the order above; (None, '') if there is none.

        `in_words`: words are an answer. `banners`: what stands around a structured answer is no part of it.
        """
        found, fault = _last_structured([*self.calls, *self.structured])
        if found is not None or fault:
            return found, fault
        if self._size > MAX_BYTES:
            return None, f"{self._size} characters; a message has at most {MAX_BYTES} bytes"
        final = self.final
        try:
            frontmatter.decode(final.encode())
        except BadMessage as e:
            return None, str(e)
        last = next((m.text for m in reversed(self._messages) if m.text.strip()), "")
        for text in dict.fromkeys((_utf8(last).lstrip(), final)):
            found, said = answer_in(text, self.address, banners=banners)
            if found is not None:
                return found, ""
            fault = fault or said
        for text in reversed(self._earlier):  # the answer, then one more look at a file
            found, _ = answer_in(text, self.address) if text.startswith(("---", "```", "~~~", "{")) else (None, "")
            if found is not None and not fault:
                return _with_words(_Found(found, 0, 0), final), ""
        if fault or not final:
            return None, fault
        return (Answer("done", "skip", final.strip("\n"), plain=True), "") if in_words else (None, NO_FORM)


NO_FORM: Final = "what it said has no status and verify, and is no response file"


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _body(value: object) -> str:
    """A structured value as it can be shown."""
    if isinstance(value, str):
        return value
    body = value.get("body") if isinstance(value, dict) else None
    return body if isinstance(body, str) else json.dumps(value, ensure_ascii=False)


def _last_structured(values: list[object]) -> tuple[Answer | None, str]:
    """The last one of the values; an earlier one if a later one has the same verdict and no words."""
    fault = ""
    verdict: object = None
    for value in reversed(values):
        value = _loaded(value)
        own = (value.get("status"), value.get("verify")) if isinstance(value, dict) else None
        try:
            answer = Answer(*message.structured(value))
        except BadMessage as e:
            fault = fault or str(e)
            blank = isinstance(value, dict) and isinstance(value.get("body"), str) and not value["body"].strip()
            if not blank or (verdict is not None and own != verdict):
                break
            verdict = own
            continue
        if verdict is None or own == verdict:
            return answer, ""
        break
    return None, fault


def _loaded(value: object) -> object:
    """A structured value that came as JSON text is what the text says."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


@dataclass(frozen=True)
class _Found:
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
    return _with_words(chosen, text), ""


def _with_words(found: _Found, text: str) -> Answer:
    """The answer with the words that stood around it: a model said them too."""
    before = _FENCED_OBJECT.sub("", text[: found.start]).strip()
    after = _FENCE_END.sub("", text[found.end :]).strip()
    if not before and not after:
        return found.answer
    parts = (before, found.answer.body, after)
    return Answer(found.answer.status, found.answer.verify, "\n\n".join(part for part in parts if part))


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
    return Answer(response.status, response.verify, response.body, data), ""


def _files(text: str, address: Address, faults: list[str]) -> Iterator[_Found]:
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
            yield _Found(found, start.start(), end)
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


def _objects(text: str, address: Address, faults: list[str]) -> Iterator[_Found]:
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
            answer = Answer(*message.structured(value))
        except BadMessage as e:
            if alone or len(own) == 3:
                faults.append(str(e))
            continue
        addressed = {key: value[key] for key in address.fields if key in value}
        echo = not alone and address.is_echo(text[start.start() : end])
        if not echo and not (addressed and address.mismatch({**address.fields, **addressed})):
            yield _Found(answer, start.start(), end)
