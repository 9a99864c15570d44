"""Sessions out of a `.relay/` folder of the original file protocol, into branches.

There a one-shot is a pair of files in the folder itself and a session a folder of its own. A session is imported
whole, byte for byte, or not at all; what is wrong with it is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote, quote_path
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol import names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Request, Response, parse_request, parse_response, request_file, response_file
from gitrelay.state import plainfile

_Files = list[tuple[Request | Response, bytes, Path]]


@dataclass(frozen=True)
class Imported:
    """One session of the folder: how many exchanges came over, or why none did."""

    session: str
    exchanges: int
    fault: str = ""


def sessions(ledger: Ledger, folder: Path, opener: str) -> list[Imported]:
    """Import every session below `folder`; each either whole or with its fault. Raises UsageError for no folder."""
    found: list[tuple[str, Path]] = []
    for path in _entries(folder):
        if path.is_dir() and not path.is_symlink() and any(path.glob("*.req.md")):
            found.append((path.name, path))
        elif path.name.endswith((".req.md", ".res.md")):
            one_shot = path.name.removesuffix(".req.md").removesuffix(".res.md")
            if (one_shot, folder) not in found:
                found.append((one_shot, folder))
    return [_session(ledger, name, place, opener) for name, place in found]


def _entries(folder: Path) -> list[Path]:
    hint = "name the .relay folder"
    try:
        if folder.is_dir() and not folder.is_symlink():
            return sorted(folder.iterdir())
    except OSError as e:
        what = f"{quote_path(folder)} cannot be read: {e.strerror}"
        raise UsageError(what, hint=hint, code=Code.NO_FOLDER) from None
    raise UsageError(f"{quote_path(folder)} is not a folder", hint=hint, code=Code.NO_FOLDER)


def _session(ledger: Ledger, name: str, place: Path, opener: str) -> Imported:
    try:
        names.check_session(name)
        files = _messages(name, place)
        with locked(ledger, name) as held:
            held.adopt(opener, files)
    except (UsageError, BadMessage) as e:
        return Imported(name, 0, e.message if isinstance(e, UsageError) else str(e))
    return Imported(name, sum(isinstance(value, Request) for value, _, _ in files))


def _messages(session: str, place: Path) -> _Files:
    """The messages of a session in order. Raises BadMessage for a gap, a stray or a broken file."""
    files: _Files = []
    ids = _ids(session, place)
    for id_ in ids:
        request = _read(place / request_file(id_))
        if request is None:
            raise BadMessage(1, f"{response_file(id_)} has no request")
        with _named(request_file(id_)):
            asked = parse_request(request, session)
        if asked.id != id_:
            raise BadMessage(1, f"{request_file(id_)}: id is {asked.id!r}")
        files.append((asked, request, place / request_file(id_)))
        response = _read(place / response_file(id_))
        if response is None:
            if id_ != ids[-1]:
                raise BadMessage(1, f"{request_file(id_)} was never answered, and the session goes on")
            break
        with _named(response_file(id_)):
            answer = parse_response(response)
        if (answer.re, answer.from_, answer.to) != (id_, asked.to, asked.from_):
            raise BadMessage(1, f"{response_file(id_)} does not answer {request_file(id_)}")
        files.append((answer, response, place / response_file(id_)))
    return files


def _ids(session: str, place: Path) -> Sequence[str]:
    """The ids in turn order: `01`, `02`, ... without a gap, or the one-shot's own."""
    if names.is_one_shot(session) and place.name != session:
        return [session]
    stems = {p.name.removesuffix(".req.md").removesuffix(".res.md") for p in place.glob("*.re[qs].md")}
    strange = sorted(stem for stem in stems if not names.is_turn(stem))
    if strange:
        raise BadMessage(1, f"{quote(strange[0])} is not the number of a turn")
    ids = sorted(stems, key=int)
    if ids != [names.turn_id(n + 1) for n in range(len(ids))]:
        raise BadMessage(1, f"the turns are not numbered from 01 without a gap: {', '.join(ids[:8])}")
    return ids


def _read(path: Path) -> bytes | None:
    return plainfile.read(path, path.name)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """The file's name in front of what is wrong with it."""
    try:
        yield
    except BadMessage as e:
        raise BadMessage(e.line, f"{e.why} ({name})") from None
