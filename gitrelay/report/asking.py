"""A question that a peer asked back, for a page: its options, which one was taken, by whom and after how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gitrelay.errors import IntegrityError
from gitrelay.history.exchange import Exchange
from gitrelay.history.questions import answer_key
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import task_of
from gitrelay.protocol.question import Question


@dataclass(frozen=True)
class Asked:
    """A question. `after` is the turn that answered it (`answered`), or with which somebody went on without an answer.

    `taken` is the number of the option that the answer repeats, from 1 on, 0 if it has other words.
    """

    question: Question
    at: int  # seconds since the epoch
    after: Exchange | None = None
    answered: bool = False
    taken: int = 0

    @property
    def open_for(self) -> float | None:
        """Seconds until the next turn, None if there is none."""
        return None if self.after is None else float(max(0, self.after.request.time - self.at))


def asked(e: Exchange, after: Exchange | None) -> Asked | None:
    """What is asked in `e`, None if nothing is or if it cannot be read."""
    try:
        question = e.question
    except IntegrityError:
        return None
    if question is None or e.response is None:
        return None
    if after is None:
        return Asked(question, e.response.time)
    answered = after.request.key == answer_key(e.address)
    return Asked(question, e.response.time, after, answered, _taken(question, after) if answered else 0)


def _taken(question: Question, after: Exchange) -> int:
    try:
        task = task_of(after.request_data)
    except BadMessage:
        return 0
    for number, option in enumerate(question.options, 1):
        if task == option or task.startswith(f"{option}\n\n("):  # what is in brackets names the question
            return number
    return 0
