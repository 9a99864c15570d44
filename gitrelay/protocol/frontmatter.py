"""The front matter of a message, from hostile bytes. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from gitrelay.ground.text import quote

# A message is read whole into memory and shown whole to a model: 4 MiB is about a million tokens.
MAX_BYTES: Final = 4 * 1024 * 1024
# Front matter of ours is about 120 bytes; more than this is not front matter but an attack on the parser.
MAX_HEADER: Final = 64 * 1024
# Ours is flat. PyYAML looks at every open bracket again for every token: 60,000 of them took 69 s.
_MAX_DEPTH: Final = 16
_FENCE = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
# front matter as gitrelay writes it: to YAML, too, each line is a key and a plain scalar, and nothing else
_OWN_HEADER = re.compile(r"(?:[a-z]{1,32}: [a-z0-9][a-z0-9-]*\n)+")


class BadMessage(ValueError):
    """The bytes are not a message: `line` (1-based) is where, `why` is one line for a person."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


class _Field(NamedTuple):
    """A front matter value as written, None if it is not text, and the line of the file it is on."""

    value: str | None
    line: int


def decode(data: bytes) -> str:
    """Hostile bytes -> text. Raises BadMessage naming the line: too large, not UTF-8, or a NUL byte."""
    if len(data) > MAX_BYTES:
        raise BadMessage(1, f"{len(data)} bytes; a message has at most {MAX_BYTES}")
    nul = data.find(b"\0")
    if nul >= 0:
        raise BadMessage(data.count(b"\n", 0, nul) + 1, "a NUL byte")
    try:
        return data.decode()
    except UnicodeDecodeError as e:
        raise BadMessage(
            data.count(b"\n", 0, e.start) + 1, f"byte 0x{data[e.start]:02x} at offset {e.start} is not UTF-8"
        ) from None


def split_header(data: bytes) -> tuple[dict[str, _Field], str, int]:
    """Front matter fields, the body behind the one blank line, and the line that the body begins on."""
    header, body, line = cut_header(data)
    return _load(header), body, line


def cut_header(data: bytes) -> tuple[str, str, int]:
    """The front matter block, the body behind the one blank line, and the line that the body begins on."""
    text = decode(data)
    opening = _FENCE.match(text)
    if opening is None or opening.end() == len(text):
        raise BadMessage(1, "no front matter: the file does not begin with a '---' line")
    closing = _FENCE.search(text, opening.end() + 1)
    if closing is None:
        raise BadMessage(1, "the front matter is never closed by a '---' line")
    header = text[opening.end() + 1 : closing.start()]
    if len(header) > MAX_HEADER:
        raise BadMessage(2, f"front matter of {len(header)} characters")
    body = text[closing.end() + 1 :]
    for blank in ("\n", "\r\n"):
        if body.startswith(blank):
            body = body[len(blank) :]
            break
    return header, body, text.count("\n", 0, closing.end()) + 2


def _load(header: str) -> dict[str, _Field]:
    """Every scalar a string, as written: YAML 1.1 would read `01` as 1, `no` as False and `12:30` as 750.

    What gitrelay itself writes is read without loading YAML, 100 times as fast.
    """
    if _OWN_HEADER.fullmatch(header):
        pairs = [line.split(": ") for line in header.splitlines()]
        fields = {key: _Field(value, number) for number, (key, value) in enumerate(pairs, 2)}
        if len(fields) == len(pairs):
            return fields
    return _load_yaml(header)


def _load_yaml(header: str) -> dict[str, _Field]:
    """The same for any YAML. Raises BadMessage."""
    import frontmatter
    import yaml
    from frontmatter.default_handlers import YAMLHandler

    class Fields(YAMLHandler):
        def split(self, text: str) -> tuple[str, str]:
            # the block was cut out by split_header (the library's own fence also takes '----'), and the library
            # has stripped `text`, so that line numbers would be off
            return header, ""

        def load(self, fm: str, **kwargs: object) -> dict[str, object]:
            return {"fields": _flat_mapping(fm, yaml)}

    try:
        metadata, _ = frontmatter.parse(header, handler=Fields())
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        if (getattr(e, "context", None) or "").startswith("while scanning"):
            mark = getattr(e, "context_mark", None) or mark  # the place of the opening quote, not the end of the text
        problem = getattr(e, "problem", None) or "a character that YAML does not allow"
        line = _line(header, mark.index if mark else getattr(e, "position", 0))
        raise BadMessage(line, f"front matter: {problem}") from None
    fields = metadata["fields"]
    assert isinstance(fields, dict)
    return fields


def _line(header: str, index: int) -> int:
    """The line of the file that `header[index]` is on, behind the opening fence.

    Counted here: YAML 1.1 also ends a line at U+0085, U+2028, U+2029 and a lone CR.
    """
    return header.count("\n", 0, index) + 2


def _events(text: str, yaml: Any) -> Iterator[tuple[int, Any]]:
    """PyYAML's events, each with its line. Raises BadMessage if PyYAML itself trips over a number."""
    line = 2
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = _line(text, event.start_mark.index)
            yield line, event
    except (ValueError, OverflowError):  # chr() of "\UFFFFFFFF", int() of a %YAML version of 5,000 digits
        raise BadMessage(line, "front matter: a number that is too large") from None


def _flat_mapping(text: str, yaml: Any) -> dict[str, _Field]:
    """The top level of a mapping, read from parser events: nothing is built, so no alias can expand."""
    fields: dict[str, _Field] = {}
    key: tuple[str, int] | None = None
    depth = 0
    for line, event in _events(text, yaml):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadMessage(line, "front matter: anchors and aliases are not allowed")
        value: str | None = None
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise BadMessage(line, "front matter: nested too deeply")
            if depth > 2 or (depth == 1 and isinstance(event, yaml.MappingStartEvent)):
                continue
            if key is None:
                raise BadMessage(line, "front matter: not a list of 'key: value' lines")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
            continue
        elif isinstance(event, yaml.ScalarEvent):
            if depth == 0:
                raise BadMessage(line, "front matter: not a list of 'key: value' lines")
            if depth > 1:
                continue
            value = event.value
        else:
            continue
        if key is None:
            assert value is not None
            if value in fields:
                raise BadMessage(line, f"key {quote(value)} is there twice")
            key = (value, line)
        else:
            fields[key[0]] = _Field(value, line)
            key = None
    return fields


def expect(fields: dict[str, _Field], key: str, allowed: tuple[str, ...] | Callable[[str], bool]) -> str:
    """The value of `key`, checked against a tuple of words or a predicate."""
    field = fields.get(key)
    if field is None:
        raise BadMessage(1, f"front matter has no {key!r}")
    if field.value is None:
        raise BadMessage(field.line, f"the value of {key!r} is not text")
    if callable(allowed):
        if allowed(field.value):
            return field.value
        raise BadMessage(field.line, f"{key}: {quote(field.value)} is not valid")
    if field.value in allowed:
        return field.value
    raise BadMessage(field.line, f"{key}: {quote(field.value)}; expected {' | '.join(allowed)}")
