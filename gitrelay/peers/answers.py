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
import textwrap
from dataclasses import field
from typing import Any, Final

from gitrelay.ground.value import dataclass
from gitrelay.peers.base import Answer, Invocation
from gitrelay.peers.responses import Address, Found, answer_in, squeezed, structured_answer, with_words
from gitrelay.protocol import frontmatter, message, question
from gitrelay.protocol.frontmatter import MAX_BYTES, BadMessage

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": list(message.STATUSES)},
        "verify": {"type": "string", "enum": list(message.VERDICTS)},
        "body": {"type": "string", "description": "the whole answer, in markdown"},
        "reason": {"type": ["string", "null"], "enum": [question.NEEDS_INPUT, None]},
        "question": {"type": ["string", "null"], "description": "with reason needs-input: what you need to know"},
        "options": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": f"with a question: at most {question.MOST_OPTIONS} answers to choose from",
        },
    },
    "required": ["status", "verify", "body"],
    "additionalProperties": False,
}
# where a schema has to name every field as required (OpenAI's strict form): what is not asked is null
STRICT_SCHEMA: Final[dict[str, Any]] = ANSWER_SCHEMA | {"required": list(ANSWER_SCHEMA["properties"])}

STRUCTURED_LEAD: Final = """\
Answer the request below. Your final message is the answer: status, verify and body (markdown), in the \
structured form you were given; nothing has to be written to a file. verify is pass or fail only for what \
you ran yourself, else skip. If you cannot go on without an answer to a question, say status error, reason \
needs-input, and give the question and, if there are any, up to six options; you are asked again with the answer.
"""  # the request's text follows, whole

ASKING_LINE: Final = f"reason: {question.NEEDS_INPUT}"
_EARLIER_MAX: Final = 256 * 1024  # characters that are kept of what was said before the last tool call


def form_of(prompt: str) -> str:
    """The first lines that a request asks for in its response, from its Format block."""
    return textwrap.dedent(prompt.rpartition("\nFormat:\n")[2]).strip()


def written_lead(call: Invocation) -> str:
    """What a peer without a schema for its final message is told before the request: to end with a response file."""
    return (
        "Answer the request below. Your final message is the answer; nothing has to be written to a file. It "
        "begins with these lines, with no words before them and no code fence around them, and where they say "
        f"'a | b' you choose one:\n\n{form_of(call.prompt)}\n\n"
        "verify is pass or fail only for what you ran yourself, else skip. If you cannot go on without an answer to "
        f"a question, say status: error, add the line '{ASKING_LINE}' after verify, and begin your response with the "
        f"question as one paragraph, then up to six options as a list.\n{call.before}"
    )


@dataclass()
class _Message:
    """What was said as one message; its text came in one event or in many. `streamed`: word by word."""

    key: object
    text: str = ""
    streamed: bool = False


@dataclass()
class Said:
    """All that a peer said, gathered event by event; `answer` chooses at the end. At most MAX_BYTES are kept.

    `glue` is put between messages. `structured` and `calls` are the values of terminal events and of calls of a
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
        """Take a piece of the message `key`; a piece that begins with all of it so far replaces it.

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
        if text is None or not text.strip() or squeezed(text) in squeezed(self._joined or "".join(self._earlier[-1:])):
            return  # the messages have all of it, or more
        last = self._messages[-1] if self._messages else None
        if last is not None and squeezed(last.text) in squeezed(text):
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

        `in_words`: words are an answer. `banners`: what is printed around a structured answer is no part of it.
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
                return with_words(Found(found, 0, 0), final), ""
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
            answer = structured_answer(value)
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
