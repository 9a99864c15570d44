"""What an agent said in a turn, in messages, and which of it is the answer.

A response in the final words that is valid and addressed to the request; nothing else, because agents say errors,
warnings and notices in the same way. Chunks that belong to no message are notices, if other chunks have one.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.peers.answers import Said
from gitrelay.peers.base import Answer
from gitrelay.peers.responses import Address, answer_in
from gitrelay.protocol.frontmatter import MAX_BYTES

_NOTICES_MAX: Final = 16 * 1024
_TOO_MUCH: Final = 2 * MAX_BYTES
_MESSAGES_MAX: Final = 10_000
_PIECES: Final = 50


@dataclass()
class _Message:
    key: str | None
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)


class Words:
    """Takes chunks as they come. `too_much`: more was said in one piece than a response can hold, by far."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._messages: list[_Message] = []  # since the last tool call
        self._before: list[list[_Message]] = []
        self._size = 0
        self._paused = False

    @property
    def too_much(self) -> bool:
        return self._size > _TOO_MUCH or len(self._messages) > _MESSAGES_MAX

    def say(self, text: str, key: str | None) -> None:
        """A chunk of the message `key`; without one, of what was said last without one, unless there was a pause."""
        self._size += len(text)
        paused, self._paused = self._paused and key is None, False
        last = self._messages[-1] if self._messages else None
        if paused:
            last = None
        elif last is None or last.key != key:
            last = next((m for m in reversed(self._messages) if m.key == key), None) if key is not None else None
        if last is None:
            last = _Message(key)
            self._messages.append(last)
        last.parts.append(text)

    def pause(self) -> None:
        """Something else happened: what is said next in no message may be of another kind than what was said last."""
        self._paused = True

    def use_tool(self) -> None:
        """What was said until now are not the final words."""
        if any(message.text.strip() for message in self._messages):
            self._before = [*self._before[-20:], self._messages]
        self._messages = []
        self._size = 0

    @property
    def _own(self) -> list[_Message]:
        keyed = [message for message in self._messages if message.key is not None]
        return [message for message in keyed or self._messages if message.text.strip()]

    @property
    def notices(self) -> str:
        """What came without a message of its own, next to messages."""
        own = self._own
        found = [m.text.strip() for m in self._messages if m.key is None and m not in own]
        return "\n".join(part for part in found if part)[:_NOTICES_MAX]

    @property
    def final(self) -> str:
        return "\n\n".join(message.text.strip("\n") for message in self._own)

    @property
    def text(self) -> str:
        """All that was said, for a response that has to show it."""
        earlier = ["".join(m.text for m in messages).strip("\n") for messages in self._before]
        return "\n\n".join(part for part in (*earlier, self.final) if part.strip())

    def answer(self) -> tuple[Answer | None, str]:
        """(the response, what is wrong with the one that was meant); (None, why) if there is none."""
        own = self._own
        found: list[Answer] = []
        faults: list[str] = []
        for text in self._candidates(own):
            answer, fault = answer_in(text.lstrip(), self._address, banners=True)
            if answer is not None and own[0].key is None:
                return answer, ""
            if answer is not None:
                found.append(answer)
            elif fault:
                faults.append(fault)
        verdicts = {(one.status, one.verify) for one in found}
        if len(verdicts) > 1:
            said = ", ".join(sorted(f"{status}/{verify}" for status, verify in verdicts))
            return None, f"it holds answers that contradict each other: {said}"
        if found:
            return found[-1], ""
        answer, fault = self._gathered().answer(in_words=False, banners=True)
        return answer, "" if answer is not None else next(iter(faults), fault)

    @staticmethod
    def _candidates(own: list[_Message]) -> list[str]:
        """Each message; of pieces that belong to none all from the first on, from the second on, and so on."""
        if own and own[0].key is not None:
            return [message.text for message in own]
        return ["".join(message.text for message in own[i:]) for i in range(min(len(own), _PIECES))]

    def _gathered(self) -> Said:
        """Everything, for the order that holds for all peers: also what was said before one more look at a file."""
        said = Said(self._address, glue="")
        for messages in self._before[-3:]:
            for message in messages:
                said.stream(message.text, object())
            said.use_tool()
        for message in self._own:
            said.stream(message.text, object())
        return said
