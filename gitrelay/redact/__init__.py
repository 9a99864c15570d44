"""Takes secrets out of text before any of it becomes a git object or a log. Pure, no I/O.

What is found, in this order; if two rules claim a span, it gets the name of the first: private keys (`keys`);
tokens with a provider's own prefix, and credentials in URLs and headers (`providers`, one table); the user's
patterns; the value of an option that takes a password (`flags`); the value of a name that says `password`, `token`,
`secret` or the like (`named`, `verdict`). Nothing is
guessed from entropy: an object id, a UUID, a hash or a line of a lock file has no such name or prefix, and stays.

Invariants: what was redacted once is not redacted again; lines stay lines, except inside a private key; the work
is linear in the text, whatever is in it (every rule begins with the search for a literal and then looks at a bounded
number of characters). No regular expression is compiled before it is needed.
"""

from __future__ import annotations

import codecs
import functools
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.redact import flags, keys, named, providers
from gitrelay.redact.span import Span

_HOLD: Final = 256 * 1024  # characters of a line that has not ended which a stream holds back
OVERLAP: Final = 16 * 1024  # characters it still holds back when the line gets longer; no secret in one line is longer
_ROUNDS: Final = 4  # times to look again at a text in which something was found
CUSTOM: Final = "custom"  # the rule of the user's patterns


class BadPattern(ValueError):
    """A pattern of the user is not a regular expression; `why` is one line."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"{pattern!r}: {why}")
        self.pattern = pattern
        self.why = why


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and how many spans each rule has replaced."""

    text: str
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Redactor:
    """The built-in rules and the user's own `patterns` (rule `custom`). Raises BadPattern.

    A pattern with a group named `secret` redacts that group, any other its whole match.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._custom = [_custom(pattern) for pattern in patterns]

    @property
    def has_patterns(self) -> bool:
        """Whether the user has patterns of their own."""
        return bool(self._custom)

    def redact(self, text: str) -> Redacted:
        """`text` with `[redacted:<rule>]` in place of every secret."""
        counts: Counter[str] = Counter()
        for _ in range(_ROUNDS):  # the rest of a secret may be recognised only after its neighbour is gone
            spans = self.find(text)
            if not spans:
                break
            parts: list[str] = []
            at = 0
            for span in spans:
                parts += (text[at : span.start], f"[redacted:{span.rule}]")
                at = span.end
                counts[span.rule] += 1
            text = "".join((*parts, text[at:]))
        return Redacted(text, dict(counts))

    def find(self, text: str) -> list[Span]:
        """The spans to redact, in order; none overlaps another or an earlier redaction."""
        spans = [*keys.find(text), *providers.find(text), *self._of_user(text)]
        spans += [*flags.find(text), *named.find(text)]
        if not spans:
            return []
        order = {span: number for number, span in reversed(list(enumerate(spans)))}
        merged: list[Span] = []
        for span in sorted(spans):
            last = merged[-1] if merged else None
            if last is None or span.start >= last.end:
                merged.append(span)
                continue
            union = last._replace(
                end=max(last.end, span.end), begin=min(last.begin, span.begin), until=max(last.until, span.until)
            )
            rank = order.get(last, 0)
            if order[span] < rank:
                union = union._replace(rule=span.rule)
            order[union] = min(rank, order[span])
            merged[-1] = union
        return list(_without_marks(text, merged))

    def ending(self, data: bytes, limit: int) -> tuple[bytes, int]:
        """(the last `limit` bytes of `data`, redacted, how many before them were cut off); no secret is cut in two."""
        cut = self.edge(data, len(data) - limit, forward=True) if len(data) > limit else 0
        return self._redact_bytes(data[cut:]), cut

    def edge(self, data: bytes, at: int, *, forward: bool) -> int:
        """The place nearest to byte `at`, before it or, if `forward`, behind it, where a cut goes through no secret.

        It looks OVERLAP bytes around `at`.
        """
        for _ in range(3):  # not inside a character of UTF-8
            at -= 0 < at < len(data) and data[at] & 0xC0 == 0x80
        low = max(0, at - OVERLAP)
        text = data[low : at + OVERLAP].decode("utf-8", "surrogateescape")
        cut = len(data[low:at].decode("utf-8", "surrogateescape"))
        spans: Iterable[Span] = self.find(text) if text else ()
        for span in spans if forward else reversed(list(spans)):
            if span.begin < cut < span.until:
                cut = span.until if forward else span.begin
        return low + len(text[:cut].encode("utf-8", "surrogateescape"))

    def _redact_bytes(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        return self.redact(text).text.encode("utf-8", "surrogateescape")

    def stream(self) -> Stream:
        """Redaction of bytes that come in pieces."""
        return Stream(self)

    def _of_user(self, text: str) -> Iterator[Span]:
        for pattern in self._custom:
            group = "secret" if "secret" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                start, end = match.span(group)
                if start < end:
                    yield Span(start, end, CUSTOM, *match.span())


class Stream:
    """Bytes in, redacted bytes out: whole lines at once, so that no secret is cut in two by a chunk's end.

    It holds back a line that has not ended, and a private key that has not ended.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parts: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Take `data`; returns what can be written now."""
        text = self._decoder.decode(data)
        self._parts.append(text)
        self._size += len(text)
        if "\n" not in text and self._size < _HOLD:
            return b""
        text = "".join(self._parts)
        cut = self._cut(text)
        self._keep(text[cut:])
        return self._redacted(text[:cut])

    def close(self) -> bytes:
        """End the stream; returns what was held back, redacted."""
        text = "".join(self._parts) + self._decoder.decode(b"", final=True)
        self._keep("")
        return self._redacted(text)

    def held(self) -> bytes:
        """What is held back now, redacted. It is still held back."""
        return self._redacted("".join(self._parts))

    def take(self) -> bytes:
        """End the stream; returns what was held back, not redacted: the rest of a secret may follow elsewhere."""
        state, _ = self._decoder.getstate()
        self._decoder.reset()
        text = "".join(self._parts)
        self._keep("")
        return text.encode("utf-8", "surrogateescape") + state

    def _keep(self, text: str) -> None:
        self._parts = [text]
        self._size = len(text)

    def _redacted(self, text: str) -> bytes:
        return self._redactor.redact(text).text.encode("utf-8", "surrogateescape") if text else b""

    def _cut(self, text: str) -> int:
        """Where `text` can be cut: after a line or, if a line is too long, where no secret is."""
        cut = text.rfind("\n") + 1
        opened = keys.open_key(text[:cut])
        if opened is not None:
            cut = text.rfind("\n", 0, opened) + 1
        if len(text) - cut < _HOLD:
            return cut
        cut = len(text) - OVERLAP
        for span in self._redactor.find(text):
            if span.begin < cut < span.until:
                cut = span.begin or span.until
        return cut


_MARK = r"\[redacted:([a-z0-9-]{1,40})\]"


@functools.cache
def rules() -> frozenset[str]:
    """The names of all rules."""
    return frozenset({"private-key", "password", "secret", CUSTOM, *providers.names(), *flags.names()})


def _custom(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": it means what it has always meant
            return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as e:
        raise BadPattern(pattern, str(e)) from None


def _without_marks(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """The spans without what is redacted already. `[redacted:NAME]` is a mark only if NAME is a rule."""
    if "[redacted:" not in text:
        yield from spans
        return
    marks = [m.span() for m in re.finditer(_MARK, text) if m[1] in rules()]
    at = 0
    for span in spans:
        while at < len(marks) and marks[at][1] <= span.start:
            at += 1
        start = span.start
        for low, high in _overlapping(marks, at, span.end):
            if start < low:
                yield span._replace(start=start, end=low)
            start = max(start, high)
        if start < span.end:
            yield span._replace(start=start)


def _overlapping(marks: Sequence[tuple[int, int]], at: int, end: int) -> Iterator[tuple[int, int]]:
    while at < len(marks) and marks[at][0] < end:
        yield marks[at]
        at += 1
