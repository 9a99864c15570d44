"""Cuts markdown into plain paragraphs and fenced blocks, which need no parser, and the rest. Pure.

A plain paragraph lies between blank lines and has lines in which nothing but code between single backticks is markup.
Most of what agents say is that, and a parser of Python takes twenty times as long for it. What is made of a piece
is, byte for byte, what the parser makes of it; what is doubtful is left to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    PLAIN = auto()
    FENCED = auto()
    OTHER = auto()


# no block of markdown begins as these lines do; behind that: text, code, `_` within a word, signs that mark nothing
_LINE: Final = re.compile(
    r"-?(?:[^\W\d_]|(?<!-)[(\"']|(?<!-)(?=`[^`]))"
    r"(?:[^\\`*_\[\]<&~\n]++|`(?! )[^`\n]++(?<! )`(?!`)|(?<=[^\W_])_++(?=[^\W_])|&(?![#\w])|<(?=[ =])|~(?!~))*+"
    r"(?<=\S)"
)
_CODE: Final = re.compile("`([^`]+)`")
_OPENS: Final = re.compile(r"(`{3,})[^`]*|(~{3,}).*")


def split(text: str) -> Iterator[tuple[Kind, str]]:
    """The pieces of `text` in order; lines end in newlines.

    Each piece means by itself what it means in the text: what may reach over a plain paragraph is in one piece with it.
    """
    blocks = [(_kind(block), block) for block in _blocks(text)]
    if any("]:" in line for kind, block in blocks if kind is not Kind.FENCED for line in block):
        yield Kind.OTHER, text  # what defines a link holds for the whole text
        return
    rest: list[str] = []
    for kind, block in blocks:
        if kind is Kind.OTHER:
            rest += block
            continue
        if rest:
            yield Kind.OTHER, "\n".join(rest)
            rest = []
        yield kind, "\n".join(block).rstrip("\n\t ")
    if rest:
        yield Kind.OTHER, "\n".join(rest)


def html_of(paragraph: str) -> str:
    """A plain paragraph as HTML."""
    for char, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        paragraph = paragraph.replace(char, name)
    paragraph = paragraph.replace(" \n", "\n")
    return "<p>" + _CODE.sub(r"<code>\1</code>", paragraph) + "</p>\n"


def fenced(block: str) -> tuple[str, str]:
    """(what is behind the opening fence, the lines within) of a fenced block."""
    first, _, rest = block.partition("\n")
    return first.lstrip(first[0]), rest[: rest.rfind("\n") + 1]


def _kind(block: list[str]) -> Kind:
    if _is_plain(block[0]) and all(_is_plain(line) or not line.strip(" \t") for line in block):
        return Kind.PLAIN
    opening = _OPENS.fullmatch(block[0])
    last = next((line for line in reversed(block[1:]) if line.strip(" \t")), "")
    return Kind.FENCED if opening and _closes(last, opening[1] or opening[2]) else Kind.OTHER


def _closes(line: str, fence: str) -> bool:
    said = line.strip(" \t")
    return said.startswith(fence) and not said.strip(fence[0]) and not line.startswith(("    ", "\t"))


def _is_plain(line: str) -> bool:
    return _LINE.fullmatch(line.removesuffix(" ")) is not None  # two blanks would break the line


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines up to a blank line or a fence, and the blank ones behind them: not one is lost, as in code each counts.

    A fenced block is in one piece, and so is all from an odd fence on.
    """
    block: list[str] = []
    lines = text.split("\n")
    fence = ""
    ended = False  # by a blank line, or by the end of a fenced block
    for at, line in enumerate(lines):
        if fence:
            block.append(line)
            ended = _closes(line, fence)
            fence = "" if ended else fence
            continue
        blank = not line.strip(" \t")
        odd = "```" in line or "~~~" in line
        if odd and (opening := _OPENS.fullmatch(line)):
            fence, odd = opening[1] or opening[2], False
        if block and (fence or (ended and not blank)):
            yield block
            block = []
        if odd:  # in a list, or no fence at all
            yield [*block, *lines[at:]]
            return
        ended = blank
        block.append(line)
    if block:
        yield block
