"""Words and output of others, made safe to print and to record."""

from __future__ import annotations

import unicodedata


def plain(text: str, limit: int = 1000) -> str:
    """`text` as one line without control or format characters: nothing in it can begin a trailer or move a cursor."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text[: 4 * limit])
    return " ".join(spaced.split())[:limit]


def quote_path(path: object) -> str:
    """A path as one short line for a message; the end of a long one is what tells it from others."""
    text = str(path)
    shown = repr(text) if text.isprintable() else ascii(text)
    return shown if len(shown) <= 160 else "'..." + shown[-156:]


def quote(text: str) -> str:
    """`text` as one short line for a message: escapes shown, cut in the middle of nothing at 80 characters."""
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def block(command: str, printed: str, end: str) -> str:
    """The command and its output in a code fence that neither of them can close, then how it ended."""
    fence = "```"
    while fence in printed or fence in command:
        fence += "`"
    output = f"{printed}\n" if printed else ""
    return f"{fence}console\n$ {command}\n{output}{fence}\n\n{end}"


def ending(exit_code: int) -> str:
    """`exit 1`, `signal 9`."""
    return f"exit {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"


def counted(count: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
