"""A question that a peer asks back: the first paragraph of a response's body, and the list that follows. Pure.

A response that asks has `status: error` and `reason: needs-input`. In a structured answer the question and its
options have fields of their own; `body_of` writes them into the body, so that the record needs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gitrelay.ground.value import dataclass

NEEDS_INPUT: Final = "needs-input"
MOST_OPTIONS: Final = 6
TEXT_MAX: Final = 4000  # characters of a question, and of an option
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,2}[.)])[ \t]+(\S.*)")


@dataclass(frozen=True)
class Question:
    """What is asked, on one line, and at most MOST_OPTIONS answers to choose from."""

    text: str
    options: tuple[str, ...] = ()


def in_body(body: str) -> Question:
    """The question that the body of a response asks: its first paragraph, and the first list after it as options."""
    lines = body.strip().splitlines()
    text: list[str] = []
    at = 0
    while at < len(lines) and lines[at].strip() and not (text and _ITEM.fullmatch(lines[at])):
        text.append(lines[at].strip())
        at += 1
    options: list[str] = []
    for line in lines[at:]:
        item = _ITEM.fullmatch(line)
        if item is not None:
            options.append(item[1].strip()[:TEXT_MAX])
        elif options or line.strip():
            break  # a list that comes after other words holds no options
    return Question(" ".join(text)[:TEXT_MAX], tuple(options[:MOST_OPTIONS]))


def of_value(value: Mapping[str, object]) -> Question | None:
    """The question of a structured answer; None if it asks nothing, or asks only in its body."""
    asked = value.get("question")
    options = value.get("options")
    if isinstance(asked, Mapping):
        options = asked.get("options", options)
        asked = asked.get("text")
    if not isinstance(asked, str) or not asked.strip():
        return None
    chosen = [one for one in options if isinstance(one, str)] if isinstance(options, Sequence) else []
    words = [" ".join(one.split())[:TEXT_MAX] for one in chosen if one.strip()]
    return Question(" ".join(asked.split())[:TEXT_MAX], tuple(words[:MOST_OPTIONS]))


def asks(value: Mapping[str, object]) -> bool:
    """Whether a structured answer asks something back."""
    return value.get("status") == "error" and value.get("reason") == NEEDS_INPUT


def body_of(question: Question, body: str) -> str:
    """The body of a response that asks `question`; what `body` says besides comes after it."""
    if in_body(body) == question:
        return body
    parts = [question.text]
    if question.options:
        parts.append("\n".join(f"- {option}" for option in question.options))
    if " ".join(body.split()) not in ("", question.text):
        parts.append(body.strip("\n"))
    return "\n\n".join(parts)
