"""Reading a peer's JSON events: memory is bounded, lines are cleaned, and of a broken object is saved what can be.

Programs print more on stdout than their events: titles for the terminal, warnings, two events on one line, an event
into the middle of another one. What is no event is kept too (`noise`, `garbled`), so that an error can show it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gitrelay.process.capture import MARGIN, first_part
from gitrelay.protocol import frontmatter

# One line of a peer's events; the longest legitimate one is a final message of MAX_BYTES, JSON-escaped.
MAX_LINE: Final = 4 * frontmatter.MAX_BYTES
_TRIES: Final = 50  # places of one line at which a broken object is looked through for a whole one
_PATIENCE: Final = 20  # lines after which the rest of a broken object is not waited for any more
_HEADS: Final = 8  # ways to put a broken object together with the next line, one if it is long
_LONG: Final = 256 * 1024  # characters
_GARBLED_MAX: Final = 256 * 1024  # bytes of a broken object that are kept
_GARBLED: Final = 8  # broken objects that are kept
_NOISE_MAX: Final = 4096  # bytes of a line that is no event that are kept
_NOISE_LINES: Final = 40

_DECODER: Final = json.JSONDecoder(strict=False)
_OBJECT: Final = re.compile(r'\{\s*["}]')
# ECMA-48: CSI (final bytes `{|}` are private, and `{` begins an event), OSC and its like with their end, the rest
_ESCAPE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-z~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-z|}~]"
)


def clean(text: str) -> str:
    """`text` without what is meant for a terminal: escape sequences, a byte order mark at the beginning."""
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPE.sub("", text)
    return text.lstrip("\ufeff")


class EventReader:
    """Base of readers of JSON lines; subclasses see dicts. `fatal` and `finished` as in `base.Reader`.

    `garbled` counts the objects that were broken and could not be put together; `printed` shows them, and the last
    lines that were no events.
    """

    def __init__(self) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self.tap: Callable[[dict[str, Any]], None] | None = None  # is given every event too
        self.spent: Mapping[str, str] = {}  # what was used so far, as far as the events tell it
        self.garbled = 0
        self._broken: list[str] = []
        self._noise: deque[str] = deque(maxlen=_NOISE_LINES)
        self._line = bytearray()
        self._skipping = False
        self._pending: tuple[str, ...] = ()  # a broken object, in each way in which the next line may continue it
        self._waited = 0

    def feed(self, data: bytes) -> bool:
        progress = False
        while data:
            head, newline, data = data.partition(b"\n")
            if not self._skipping:
                self._line += head
                if len(self._line) > MAX_LINE:
                    self._keep_garbled(f"[... a line of more than {MAX_LINE} bytes ...]")
                    self._line.clear()
                    self._skipping = True
            if newline:
                if not self._skipping:
                    progress = self._take_line(self._line.decode("utf-8", "replace")) or progress
                self._line.clear()
                self._skipping = False
        return progress

    def close(self) -> None:
        """The end of the stream ends a line too."""
        if self._line:
            self.feed(b"\n")
        self._give_up()

    def event(self, event: dict[str, Any]) -> bool:
        """Take one event; whether it shows that the model is at work."""
        raise NotImplementedError

    def _take_line(self, line: str) -> bool:
        text = clean(line).strip()
        if not text:
            return False
        for head in self._pending:
            found, broken = _sequence(head + text)
            if broken is None:
                self._pending = ()
                return self._give(found)
        found, broken = _sequence(text)
        if broken is None:
            outside = text if not found else ""
        else:
            outside = text[:broken] if not found else ""
            saved, heads = _saved(text[broken:])
            found += saved
            self._wait_for_the_rest(heads)
        if outside.strip():
            self._noise.append(outside[: _NOISE_MAX + MARGIN])
        if self._pending:
            self._waited += 1
            if self._waited > _PATIENCE:
                self._give_up()
        return self._give(found)

    def _give(self, found: list[dict[str, Any]]) -> bool:
        progress = False
        for event in found:
            if self.tap is not None:
                self.tap(event)
            progress = self.event(event) or progress
        return progress

    def _wait_for_the_rest(self, heads: tuple[str, ...]) -> None:
        self._give_up()
        self._pending, self._waited = heads, 0

    def _give_up(self) -> None:
        if self._pending:
            self._keep_garbled(self._pending[0])
            self._pending = ()

    def _keep_garbled(self, text: str) -> None:
        self.garbled += 1
        if len(self._broken) < _GARBLED:
            self._broken.append(text[: _GARBLED_MAX + MARGIN])

    @property
    def printed(self) -> str:
        """What was printed and is no event, in lines, cut without cutting a secret in two."""
        return "\n".join(
            [_cut(part, _GARBLED_MAX) for part in self._broken] + [_cut(part, _NOISE_MAX) for part in self._noise]
        )


def _cut(text: str, limit: int) -> str:
    return (
        text
        if len(text) <= limit // 4
        else first_part(text.encode("utf-8", "replace"), limit).decode("utf-8", "replace")
    )


def _sequence(text: str) -> tuple[list[dict[str, Any]], int | None]:
    """(the objects in `text`, one after the other; where the first broken one begins, None if none is broken)."""
    found: list[dict[str, Any]] = []
    at = 0
    while (start := _OBJECT.search(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return found, start.start()
        found.append(value)
    return found, None


def _saved(text: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """What can be saved of `text`, which begins with a broken object: (events in it, heads that are still open).

    Another event was printed into the middle of it: without that one it may be whole. Else the events that follow
    it are saved, and the rest of it may come with the next line.
    """
    inside = list(_events_inside(text))
    # a part of the broken event itself follows a colon, a comma or a bracket, and only seldom another event
    likely = sorted(inside, key=lambda found: text[: found[0]].rstrip()[-1:] in (":", ",", "["))
    for start, end, event in likely:
        outer, broken = _sequence(text[:start] + text[end:])
        if broken is None and outer:
            return [event, *outer], ()
    heads = (text, *(text[:start] + text[end:] for start, end, _ in likely[: _HEADS if len(text) < _LONG else 1]))
    for _, end, event in inside:
        following, broken = _sequence(text[end:])
        rest = text[end:].lstrip() if broken is None else text[end : end + broken].strip()
        if following or not rest or rest.startswith("{"):
            return [event, *following], heads if broken is None else (*heads, text[end + broken :])
    return [], (text,)


def _events_inside(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(where it begins, where it ends, the event) for whole events inside of `text`, which begins with a broken one."""
    at = 1
    for _ in range(_TRIES):
        start = _OBJECT.search(text, at)
        if start is None:
            return
        at = start.start() + 1
        try:
            event, end = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(event.get("type"), str):
            yield start.start(), end, event


def text_of(value: object, *path: str) -> str | None:
    """The string at `path` in nested dicts of unknown shape, None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def count_of(value: object, *path: str) -> int | None:
    """The number at `path` in nested dicts of unknown shape."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
