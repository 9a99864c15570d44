"""The syntax colours of a diff's lines, by the language that a file's name says.

Only what is in the page is looked at, not the whole file, so that the cost is that of the diff: if a hunk begins
within a comment or a docstring, the first mark that ends it says so. Only lexers of markdown.LANGUAGES are used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gitrelay.report.markdown import lexer_of

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Span = tuple[int, int, str]  # from, to: characters of a line; a class of style.css

PIECE: Final = 16 * 1024  # characters at a time: some lexers take the square of it for a hostile text

_SUFFIXES: Final = """
    bash=bash c=c cc=cpp clj=clojure cpp=cpp cs=csharp css=css cxx=cpp erl=erlang ex=elixir exs=elixir fish=fish go=go
    gql=graphql graphql=graphql h=c hcl=hcl hpp=cpp hs=haskell htm=html html=html ini=ini java=java jl=julia
    js=javascript json=json jsx=javascript kt=kotlin kts=kotlin lua=lua mjs=javascript mk=make ml=ocaml nix=nix
    php=php pl=perl pm=perl proto=protobuf ps1=powershell py=python pyi=python pyx=cython r=r rb=ruby rs=rust
    scala=scala sh=bash sql=sql svelte=html swift=swift tf=terraform toml=toml ts=typescript tsx=typescript vue=html
    xml=xml yaml=yaml yml=yaml zig=zig zsh=bash
"""
_BY_SUFFIX: Final = dict(pair.split("=") for pair in _SUFFIXES.split())
_BY_NAME: Final = {"dockerfile": "docker", "makefile": "make", "gemfile": "ruby", "rakefile": "ruby"}
_SLASHES: Final = frozenset(
    ("c", "cpp", "csharp", "css", "go", "java", "javascript", "kotlin", "php", "rust", "scala", "swift", "typescript")
)
_CLASSES: Final = (  # the first that a token's type lies in
    ("Comment", "c"),
    ("Keyword.Type", "kt"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Literal.String", "s"),
    ("Literal.Number", "m"),
    ("Name.Function", "nf"),
    ("Name.Builtin", "nf"),
    ("Name.Tag", "nf"),
    ("Name.Class", "kt"),
    ("Name.Exception", "kt"),
    ("Name.Decorator", "kt"),
    ("Name.Attribute", "kt"),
)


def language_of(path: str) -> str:
    """The language of a file by its name, empty if it has no colours."""
    name = path.rpartition("/")[2].lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get(name.rpartition(".")[2] if "." in name else "", "")


def spans(lines: Sequence[str], language: str, *, whole: bool = True) -> list[list[Span]]:
    """The coloured pieces of each line; `whole` if the first line is the first of its file."""
    lexer = lexer_of(language)
    if lexer is None:
        return [[] for _ in lines]
    found: list[list[Span]] = []
    while len(found) < len(lines):
        first = end = len(found)
        size = 0
        while end == first or (end < len(lines) and (size := size + len(lines[end]) + 1) <= PIECE):
            end += 1
        some = lines[first:end]
        found += _spans(lexer, some, "" if whole and first == 0 else _opening(some, language))
    return found


def _spans(lexer: Lexer, lines: Sequence[str], before: str) -> list[list[Span]]:
    """The coloured pieces of lines that `before`, which is not shown, is above."""
    found: list[list[Span]] = [[] for _ in lines]
    text = before + "\n".join(lines) + "\n"
    line, start = 0, len(before)  # of the line that is being coloured
    for at, kind, value in lexer.get_tokens_unprocessed(text):
        end = at + len(value)
        class_ = _class_of(kind)
        while end > start and value and line < len(lines):
            stop = start + len(lines[line])
            if class_ and min(end, stop) > max(at, start):
                found[line].append((max(at, start) - start, min(end, stop) - start, class_))
            if end <= stop:
                break
            line, start = line + 1, stop + 1
    return found


_MARK: Final = re.compile(r'"""|' + "'''")


def _opening(lines: Sequence[str], language: str) -> str:
    """What was opened before the first line and is closed below: a mark of a comment or a docstring, and a newline."""
    if language in _SLASHES:
        text = "\n".join(lines)
        end, begin = text.find("*/"), text.find("/*")
        return "/*\n" if end >= 0 and not 0 <= begin < end else ""
    if language != "python":
        return ""
    earlier = ""
    for line in lines:
        if found := _MARK.search(line):
            head, tail = line[: found.start()].strip(), line[found.end() :].strip()
            opens = bool(tail) or "=" in head or "(" in head or head[-1:] in ("r", "f", "b", "u")
            return "" if opens or (not head and (not earlier or earlier.endswith(":"))) else found[0] + "\n"
        earlier = line.strip() or earlier
    return ""


@functools.cache
def _class_of(kind: _TokenType) -> str:
    name = ".".join(kind)
    return next((class_ for prefix, class_ in _CLASSES if f"{name}.".startswith(f"{prefix}.")), "")
