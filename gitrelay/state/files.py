"""Files written whole: a temporary file in the same folder, fsync, rename."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from gitrelay.environment import how_to_record
from gitrelay.errors import CannotRecord
from gitrelay.text import quote_path


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees all of it or none of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def cannot_write(path: Path, error: OSError) -> CannotRecord:
    """One line for a folder of ours that cannot be written."""
    return CannotRecord(
        f"cannot write {quote_path(path)}: {error.strerror}",
        hint=how_to_record(os.environ),
    )
