"""Paths in an answer that lead to the diff of the same turn: whole paths of files that are in it, and nothing else.

`src/a.py`, `./src/a.py`, `src/a.py:12`, `src/a.py:12-20`, `src/a.py:12:5` and `src/a.py#L12` are understood, as code
and as plain words. A name without a folder and without a dot, as `Makefile`, is one only as code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from gitrelay.report.changes import Changes

if TYPE_CHECKING:
    from markdown_it.token import Token

LINKS_MAX: Final = 400  # of an answer: each is some 60 bytes of the page
_PLACE: Final = re.compile(
    r"(?P<path>.+?)(?::|#L)(?P<line>\d{1,9})(?:[-:]L?\d{1,9})?"
)  # one repetition: linear in the word
_WORD: Final = re.compile(r"[^\s\"'()<>\[\]{}|,;*]+")
_ENDS: Final = ".:!?"


class Links:
    """The files of a turn's diff whose entry has the id `<anchor>-f1`; `named`: the lines of each that were named."""

    def __init__(self, changes: Changes | None, anchor: str) -> None:
        self.named: dict[int, set[int]] = {}
        self._anchor = anchor
        self._left = LINKS_MAX
        self._files = changes.files if changes is not None else ()
        counts = Counter(file.path for file in self._files)  # two names that look the same lead nowhere
        self._places = {file.path: at for at, file in enumerate(self._files, 1) if counts[file.path] == 1}
        self._lines: dict[int, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def may_be_in(self, text: str) -> bool:
        """Whether `text` holds the path of a file; what does not needs no look at its words."""
        return any(path in text for path in self._places)

    def of_code(self, text: str) -> str | None:
        """The address of what a piece of code names, None if it is no file of the diff."""
        return self._of(text.strip(), plain=False)

    def of_word(self, word: str) -> str | None:
        return self._of(word, plain=True)

    def _of(self, text: str, *, plain: bool) -> str | None:
        number, line = self._find(text.removeprefix("./")), 0
        if not number and (found := _PLACE.fullmatch(text.removeprefix("./"))):
            number, line = self._find(found["path"]), int(found["line"])
        if not number or self._left == 0 or (plain and not re.search(r"[/.]", self._files[number - 1].path)):
            return None
        self._left -= 1
        if not self._has(number, line):
            return f"#{self._anchor}-f{number}"
        self.named.setdefault(number, set()).add(line)
        return f"#{self._anchor}-f{number}-{line}"

    def _find(self, path: str) -> int:
        return self._places.get(path, 0)

    def _has(self, number: int, line: int) -> bool:
        """Whether that line of the new file is in the page."""
        if number not in self._lines:
            self._lines[number] = {row.new for row in self._files[number - 1].rows if row.kind != "hunk"} - {0}
        return line in self._lines[number]

    def put(self, tokens: Sequence[Token]) -> None:
        """Put links into what markdown-it has parsed; what is in a link already is left as it is."""
        for block in tokens:
            if block.children:
                block.children = self._linked(block.children)

    def _linked(self, tokens: Sequence[Token]) -> list[Token]:
        found: list[Token] = []
        depth = 0
        for token in tokens:
            depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            if depth == 0 and token.type == "code_inline" and (href := self.of_code(token.content)):
                found += [_html(token, Markup('<a class="place" href="{}">').format(href)), token]
                found.append(_html(token, "</a>"))
            elif depth == 0 and token.type == "text" and (html := self._words(token.content)):
                found.append(_html(token, html))
            else:
                found.append(token)
        return found

    def _words(self, text: str) -> str:
        """The HTML of a text that names a file, empty if it names none."""
        pieces: list[str] = []
        at = 0
        for found in _WORD.finditer(text):
            word = found[0].rstrip(_ENDS)
            if href := self.of_word(word):
                end = found.start() + len(word)
                link = Markup('<a class="place" href="{}">{}</a>').format(href, word)
                pieces += [escape(text[at : found.start()]), link]
                at = end
        return "".join([*pieces, escape(text[at:])]) if pieces else ""


def _html(token: Token, html: str) -> Token:
    """A piece that the renderer takes as it is: every part of it is escaped."""
    return token.copy(type="html_inline", tag="", content=str(html), children=None)
