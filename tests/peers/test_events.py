"""Lines of events as they really come: between escape sequences, several on one line, one in the middle of another."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gitrelay.peers.events import MAX_LINE, EventReader, clean

ONE: dict[str, Any] = {"type": "one", "text": 'a {brace} and \\ " quotes\n'}
TWO: dict[str, Any] = {"type": "two", "part": {"type": "inner", "list": [{"type": "deep"}, {}]}}
A, B = json.dumps(ONE), json.dumps(TWO)


class Reader(EventReader):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def event(self, event: dict[str, Any]) -> bool:
        self.events.append(event)
        return True


def read(text: str | bytes, piece: int = 7) -> Reader:
    """The reader after `text` came in pieces of so many bytes."""
    reader = Reader()
    data = text if isinstance(text, bytes) else text.encode()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    reader.close()
    return reader


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}\n",
        f"{A}\r\n{B}",
        f"\ufeff{A}\n\n{B}\n",
        f"\x1b]0;peer: ready\x07\x1b[?2004h{A}\n\x1b[0m{B}\x1b[K\n",
        f"\x1b]8;;http://x/\x1b\\{A}\x1b]8;;\x1b\\\n\x1bP+q544e\x1b\\\x1b(B{B}\n",
        f"\x1b]0;no end of the title{A}\n{B}\n",
        f"Loading 50%\rLoading 100%\r{A}\n{B} done\n",
        f"{A}{B}\n",
        f"{A} {B}\n",
        f"warning: {A}, then: {B}\n",
    ],
)
def test_every_event_of_a_line_is_read(text: str) -> None:
    reader = read(text)
    assert reader.events == [ONE, TWO]
    assert reader.garbled == 0


@pytest.mark.parametrize("at", [2, 9, 20, len(B) - 1])
def test_an_event_in_the_middle_of_another_one_breaks_neither(at: int) -> None:
    """Two threads of a program write to one pipe: with the other's line end in between, or without."""
    for end in ("", "\n"):
        reader = read(f"{B[:at]}{A}{end}{B[at:]}\n")
        assert ONE in reader.events and TWO in reader.events
        assert reader.garbled == 0
    broken = read(f"{B[:at]}\n{B[at:]}\n")
    assert broken.events[-1:] == [TWO] and broken.garbled == 0


@pytest.mark.parametrize("at", [9, 20, len(B) - 1])
def test_of_a_broken_event_the_rest_of_the_line_is_saved_and_it_is_shown(at: int) -> None:
    reader = read(f"{B[:at]}{A}\n" + f"{A}\n" * 25)
    assert [event for event in reader.events if event == ONE] == [ONE] * 26
    assert reader.garbled == 1
    assert B[:at] in reader.printed


def test_a_broken_event_at_the_end_is_shown() -> None:
    reader = read(f'{A}\n{{"type":"result","result":"the words that were pa')
    assert reader.events == [ONE] and reader.garbled == 1
    assert "the words that were pa" in reader.printed


def test_what_is_no_event_is_shown() -> None:
    reader = read(f'Error: Session not found\n{A}\n[1]\n"text"\nnull\n' + "x" * 100_000 + "\n")
    assert reader.events == [ONE]
    assert "Error: Session not found" in reader.printed and len(reader.printed) < 8192


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"' * 100_000,
        b'{"type":"x","a":{' * 20_000,
        b"{" + b" " * 100_000,
        b"\x1b[" * 50_000,
        b"\x1b]" * 50_000,
        b"\xff\xfe\x00{\x00",
        b'{"type":"one"' + b"}" * 100_000,
    ],
)
def test_hostile_lines_are_passed_over(data: bytes) -> None:
    reader = read(data + f"\n{A}\n".encode(), 65536)
    assert ONE in reader.events


def test_a_line_without_end_is_named_and_not_kept() -> None:
    reader = read(b'{"text":"' + b"x" * (MAX_LINE + 10) + f'"}}\n{A}\n'.encode(), 1 << 20)
    assert reader.events == [ONE] and reader.garbled == 1 and len(reader.printed) < 200


def test_escape_sequences_are_taken_out_and_braces_are_not() -> None:
    assert clean("\x1b[1;31m{red}\x1b[0m \x1b[38;5;4mblue\x1b[m") == "{red} blue"
    assert clean("\x1b[{}") == "{}"


def test_the_vocabulary_of_peers_loads_neither_the_adapters_nor_git() -> None:
    script = (
        "import sys, gitrelay.peers.base as base\n"
        "print([m for m in sys.modules if m == 'git' or m.startswith('gitrelay.peers.') and m != base.__name__])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
