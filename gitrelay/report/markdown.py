"""Messages as HTML that can do nothing: no raw HTML, no images, links to the web and to mail only.

A message may hold anything of up to 4 MiB. What could take long is bounded: a text longer than TEXT_MAX is
shown as it is, a code block longer than CODE_MAX without colours, and only lexers of LANGUAGES are used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from gitrelay.protocol.tables import of_tokens, whole
from gitrelay.report.paragraphs import Kind, fenced, html_of, split
from gitrelay.report.words import plain, spelt_out

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token
    from pygments.lexer import Lexer

    from gitrelay.report.links import Links

TEXT_MAX: Final = 128 * 1024  # characters; the worst markdown of this size that we know takes 3 s
CODE_MAX: Final = 32 * 1024
SCHEMES: Final = ("http", "https", "mailto")
# what agents write; a lexer that nobody needs is one more set of regular expressions for a hostile text
_LANGUAGES: Final = """
    bash c c++ clojure console cpp cs csharp css cython diff docker dockerfile elixir erlang fish go golang graphql
    haskell hcl html ini java javascript js json jsonc jsx julia kotlin lua make makefile nix ocaml patch perl php
    powershell protobuf py python python3 r rb rs ruby rust scala sh shell shell-session sql svelte swift terraform
    toml ts tsx typescript vue xml yaml yml zig zsh
"""
LANGUAGES: Final = frozenset(_LANGUAGES.split())
# letters of scripts that are written from right to left
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)

# a rule of the parser -> what a text that it applies to has
_SIGNS: Final = {
    "fence": re.compile("```|~~~"),
    "table": re.compile(r"\|"),
    "reference": re.compile(r"\]:"),
    "lheading": re.compile(r"[-=][ \t]*$", re.M),
}


def inline(text: str) -> Markup:
    """A line in which what is between backticks is code, and all else is as it is."""
    pieces = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(pieces))


def render(text: str, links: Links | None = None) -> Markup:
    """Markdown -> HTML, in which the files of `links` lead to their diffs."""
    text = plain(text)
    if len(text) > TEXT_MAX:
        return Markup('<p class="note">{} characters, shown as they are.</p><pre class="plain">{}</pre>').format(
            f"{len(text):,}", text
        )
    html = "".join(_html(kind, piece, links) for kind, piece in split(text))
    # every piece of `text` in it was escaped; entities bring controls back: &#x202e;
    return Markup(spelt_out(html))


def _html(kind: Kind, piece: str, links: Links | None) -> str:
    if kind is Kind.FENCED:
        return _figure(*fenced(piece))
    if kind is Kind.PLAIN and not (links and links.may_be_in(piece)) and not _has_right_to_left(piece):
        return html_of(piece)
    return parsed(piece, links)


def _has_right_to_left(text: str) -> bool:
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


def parsed(text: str, links: Links | None = None) -> str:
    """What the parser makes of `text`, every piece of which is escaped by its renderer or by `code`."""
    parser = _parser(frozenset(rule for rule, sign in _SIGNS.items() if not sign.search(text)))
    tokens = parser.parse(text)
    if "|" in text and (tables := of_tokens(tokens)):
        tokens = parser.parse(whole(text, tables))
    if links:
        links.put(tokens)
    if _has_right_to_left(text):
        for token in tokens:
            # the first letter of a block decides; a browser does not look into parts that have a `dir` of their own
            if token.nesting == 1 and token.level == 0:
                token.attrSet("dir", "auto")
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html


def code(text: str, language: str = "") -> Markup:
    """A piece of code as spans of pygments' short classes, or escaped if it has no colours."""
    lexer = lexer_of(language.lower()) if len(text) <= CODE_MAX else None
    if lexer is None:
        return escape(text)
    from pygments import highlight

    return Markup(highlight(text, lexer, _formatter()))


@functools.cache
def _formatter() -> Any:
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(nowrap=True)


@functools.cache
def lexer_of(language: str) -> Lexer | None:
    if language not in LANGUAGES:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


@functools.cache
def _parser(idle: frozenset[str] = frozenset()) -> MarkdownIt:
    """The parser; `idle` are rules of _SIGNS that cannot apply to the text, which most lines would be tried against."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.disable(["html_block", "html_inline", *(idle - {"lheading"})])  # raw HTML is off: these two never apply
    if "lheading" in idle:
        parser.block.ruler.at("lheading", _no_underline)
    # the renderer refuses again what the parser let pass: one policy, in one place
    parser.validateLink = _allowed  # type: ignore[method-assign]
    for name, rule in {
        "fence": _fence,
        "code_block": _fence,
        "image": _image,
        "link_open": _link_open,
        "heading_open": _heading,
        "heading_close": _heading,
        "table_open": _table_open,
        "table_close": _table_close,
        "th_open": _cell_open,
        "td_open": _cell_open,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


def _no_underline(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """What the rule for underlined headings leaves behind if there is none: other rules look at the type."""
    if not state.is_code_block(line):
        state.parentType = "paragraph"
    return False


def _allowed(url: str) -> bool:
    """Whether a link may lead there: an absolute address of the web or of mail. Everything else is shown as text."""
    if any(c <= " " or c == "\\" for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in SCHEMES and bool(parts.netloc or parts.path if parts.scheme else False)


def _fence(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return _figure(tokens[at].info, tokens[at].content)


def _figure(info: str, content: str) -> str:
    language = info.split()[0] if info.split() else ""
    shown = Markup('<span class="lang">{}</span>').format(language[:40]) if language else Markup()
    return Markup('<figure class="code">{}<pre><code>{}</code></pre></figure>\n').format(shown, code(content, language))


def _image(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """An image is not loaded: it is a link to itself."""
    token = tokens[at]
    url = str(token.attrs.get("src", ""))
    words = f"image: {token.content or url}"
    if not _allowed(url):
        return str(escape(words))
    return Markup('<a href="{}" rel="noopener noreferrer nofollow" class="image">{}</a>').format(url, words)


def _link_open(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    url = str(tokens[at].attrs.get("href", ""))
    if not _allowed(url):
        return '<a class="dead">'
    return Markup('<a href="{}" title="{}" rel="noopener noreferrer nofollow">').format(url, url)


def _heading(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A message's headings are below the page's own: its first level is the page's fourth."""
    level = min(6, int(tokens[at].tag[1:]) + 3)
    return f"<h{level}{_direction(tokens[at])}>" if tokens[at].nesting == 1 else f"</h{level}>\n"


def _table_open(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return f'<div class="table"{_direction(tokens[at])}><table>\n'


def _table_close(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _cell_open(self: object, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """The parser writes a column's side as a style attribute, which the page's policy forbids."""
    found = re.search(r"text-align:(left|center|right)", str(tokens[at].attrs.get("style", "")))
    side = f' class="{found[1]}"' if found else ""
    return f"<{tokens[at].tag}{side}>"


def _direction(token: Token) -> str:
    return ' dir="auto"' if "dir" in token.attrs else ""
