"""What this machine noted of its last export to a folder, so that the next one writes only what is new.

The note is a file of `.git/relay/exports`; it may be deleted at any time, and may hold anything. Lines of JSON: the
first says what pages are made with, each other one is a session's: every ref that its page shows something of, the
hash of the page, the session's entry of the index. It is written when an export has ended: of one that was killed the
pages have other hashes than the note says, and are made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import metadata
from pathlib import Path
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import gitrelay
from gitrelay.errors import CannotRecord
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, STEPS, TRACKED, name_of, remote_of
from gitrelay.report import folder
from gitrelay.report.listing import Entry
from gitrelay.state.files import make_folder, write_whole
from gitrelay.state.folder import State

FORMAT: Final = 1
FOLDER: Final = "exports"
KEEP: Final = 16  # folders that are remembered
_NOTE_MAX: Final = 2 << 30  # bytes; 1,000 exchanges have some 1 MB
_ATTRIBUTES_MAX: Final = 1 << 20
_LIBRARIES: Final = ("jinja2", "markdown-it-py", "markupsafe", "pygments")
_SOURCES: Final = (".css", ".html", ".js", ".py")
_T = TypeVar("_T")

_OWN: Final = (BRANCHES, ARCHIVE, CODE, STEPS)

Refs = Mapping[str, str]  # ref -> object id


@dataclass(frozen=True)
class Note:
    """One session's page as it was written. `refs` has an empty id for a ref that was not there."""

    refs: Mapping[str, str]
    page: str
    entry: Entry


@dataclass(frozen=True)
class Earlier:
    """What is noted of the last export to a folder; `made` is what its pages were made with."""

    made: str = ""
    notes: Mapping[str, Note] = field(default_factory=dict)  # by session
    pages: Mapping[str, str] = field(default_factory=dict)  # page -> its hash

    def valid(self, place: Path, made: str, refs: Refs, sessions: Collection[str]) -> dict[str, Note]:
        """The notes of those of `sessions` whose pages need not be made again: they are there as they were written."""
        if made != self.made:
            return {}
        return {
            name: note
            for name, note in self.notes.items()
            if name in sessions
            and all(refs.get(ref, "") == oid for ref, oid in note.refs.items())
            and folder.digest_of(place / folder.page_of(name)) == note.page
        }


def refs_of(repo: Repository) -> Refs:
    """Every ref that a page may show something of, and what it is at: one git process."""
    return dict(repo.each_ref("%(refname)%00%(objectname)", *_OWN, TRACKED))


def depends_on(refs: Refs, sessions: Collection[str]) -> dict[str, str]:
    """The refs of a page that shows something of these sessions, as a note keeps them."""
    own = {prefix + name: refs.get(prefix + name, "") for name in sessions for prefix in _OWN}
    return own | {ref: oid for ref, oid in refs.items() if remote_of(ref) and name_of(ref) in sessions}


def made_with(repo: Repository, title: str) -> str:
    """A digest of all that makes a page, but what is recorded: the program, its libraries, the user's settings.

    Settings and attributes are those that git compares files by.
    """
    found = hashlib.sha256(title.encode("utf-8", "surrogateescape"))
    top = Path(gitrelay.__file__).parent
    for path in sorted(p for p in top.rglob("*") if p.suffix in _SOURCES):
        found.update(b"\0%s\0" % str(path.relative_to(top)).encode() + path.read_bytes())
    found.update("\0".join([sys.version, *map(metadata.version, _LIBRARIES)]).encode())
    for one in repo.listed_config:
        if one.name.startswith((b"core.", b"diff.")):
            found.update(b"\0%s=%s" % (one.name, one.value or b""))
    configured = repo.users_setting("core.attributesfile") or "~/.config/git/attributes"
    paths = [repo.common_dir / "info/attributes", Path(os.path.expanduser(configured))]
    for path in [*paths, *([repo.top / ".gitattributes"] if repo.top else [])]:
        with contextlib.suppress(OSError), open(path, "rb") as f:
            found.update(b"\0attributes " + f.read(_ATTRIBUTES_MAX))
    return found.hexdigest()


def read(state: State, place: Path) -> Earlier:
    """What is noted of the export to `place`: nothing if there is no note, or if it is none of ours."""
    notes: dict[str, Note] = {}
    pages: dict[str, str] = {}
    try:
        with open(_path(state, place), "rb") as f:
            head = json.loads(f.readline(_ATTRIBUTES_MAX))
            if head["format"] != FORMAT or not isinstance(head["made"], str):
                return Earlier()
            for line in f:
                if f.tell() > _NOTE_MAX:
                    return Earlier()
                session, page, *rest = json.loads(line)
                pages[_is(str, folder.page_of(_is(str, session)))] = _is(str, page)
                with contextlib.suppress(ValueError, TypeError):  # of another version of gitrelay
                    refs, entry = rest
                    notes[session] = Note(value_of(Mapping[str, str], refs), page, value_of(Entry, entry))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Earlier()
    return Earlier(head["made"], notes, pages)


def write(state: State, place: Path, made: str, notes: Mapping[str, Note], unnoted: Mapping[str, str]) -> None:
    """Note an export that has ended; `unnoted` are the pages of sessions that are made again each time. Never fails."""
    lines = [json.dumps({"format": FORMAT, "made": made, "place": os.fsdecode(place.resolve())})]
    lines += [_line([name, note.page, dict(note.refs), plain_of(note.entry)]) for name, note in notes.items()]
    lines += [_line([name, page]) for name, page in unnoted.items()]
    with contextlib.suppress(OSError, CannotRecord):
        state.make_folders()
        path = _path(state, place)
        make_folder(path.parent)
        write_whole(path, "".join(line + "\n" for line in lines).encode())
        kept = sorted(path.parent.iterdir(), key=lambda p: p.lstat().st_mtime, reverse=True)
        for old in kept[KEEP:]:
            old.unlink(missing_ok=True)


def _path(state: State, place: Path) -> Path:
    return state.root / FOLDER / hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:40]


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


# -- values that a note keeps ------------------------------------------------------------------------


def plain_of(value: Any) -> Any:
    """A value of dataclasses, tuples, sets and mappings as JSON can hold it; `value_of` gives it back."""
    if is_dataclass(value):
        return [plain_of(getattr(value, f.name)) for f in fields(value)]
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [plain_of(one) for one in value]
    if isinstance(value, Mapping):
        return {key: plain_of(one) for key, one in value.items()}
    return value


def value_of(kind: Any, plain: Any) -> Any:
    """The value of the type `kind` that `plain_of` made `plain` of. Raises TypeError or ValueError if it is none."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        hints = _hints(kind)
        return kind(*(value_of(hint, one) for hint, one in zip(hints, _is(list, plain), strict=True)))  # type: ignore[operator]
    if origin in (Union, UnionType):
        return next(_fitting(inner, plain))
    if origin is tuple and inner[-1:] == (...,):
        return tuple(value_of(inner[0], one) for one in _is(list, plain))
    if origin is tuple:
        return tuple(value_of(hint, one) for hint, one in zip(inner, _is(list, plain), strict=True))
    if origin is frozenset:
        # one string for all that are equal: of the words of an index there are few, and they are said often
        return frozenset(sys.intern(_is(str, one)) for one in _is(list, plain))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: value_of(inner[1], one) for key, one in _is(dict, plain).items()}
    return float(plain) if kind is float and type(plain) is int else _is(kind, plain)


def _fitting(kinds: tuple[Any, ...], plain: Any) -> Iterator[Any]:
    for kind in kinds:
        with contextlib.suppress(TypeError, ValueError):
            yield value_of(kind, plain)
    raise TypeError("fits none of the types")


def _hints(kind: Any, known: dict[Any, list[Any]] = {}) -> list[Any]:  # noqa: B006  kept on purpose
    if kind not in known:
        hints = get_type_hints(kind)
        known[kind] = [hints[f.name] for f in fields(kind)]
    return known[kind]


def _is(kind: type[_T], value: object) -> _T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{kind.__name__} was expected")
    return value
