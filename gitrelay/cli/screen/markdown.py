"""A message's markdown as lines for a terminal, by rich. Messages are untrusted.

Nothing in a message is lost or acts: HTML and reference definitions are shown as text, a link's target is shown
behind its words and no terminal hyperlink is made, an image is its words and its target. The parts of a line are
made safe after rich has laid them out, so that no entity (`&#x202e;`) and no library can bring a control
character in.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import ClassVar, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments.token import Comment, Keyword, Name, Number, Operator, String
from pygments.token import Generic as Marked
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.text import Text
from rich.theme import Theme

from gitrelay.cli.output import safe
from gitrelay.protocol.tables import of_tokens, whole

# Messages as agents write them have some kB. A longer one is shown as it is: laid out, 1 MiB takes 10 s and more.
MAX_LAID_OUT: Final = 128 * 1024  # characters
_MAX_HIGHLIGHTED: Final = 32 * 1024  # characters of one code block

_CODE: Final = ANSISyntaxTheme(
    {
        Comment: Style(dim=True, italic=True),
        Keyword: Style(color="magenta"),
        Operator.Word: Style(color="magenta"),
        Name.Function: Style(bold=True),
        Name.Class: Style(bold=True),
        Name.Decorator: Style(color="cyan"),
        Name.Tag: Style(color="blue"),
        Name.Attribute: Style(color="cyan"),
        String: Style(color="green"),
        Number: Style(color="cyan"),
        Marked.Deleted: Style(color="red"),
        Marked.Inserted: Style(color="green"),
        Marked.Heading: Style(bold=True),
        Marked.Subheading: Style(color="cyan"),
        Marked.Prompt: Style(bold=True),
    }
)
_LOOKS: Final = Theme(
    {
        "markdown.code": "cyan",
        "markdown.code_block": "none",
        "markdown.block_quote": "italic",
        "markdown.hr": "dim",
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.link": "underline",
        "markdown.target": "blue",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.h5": "bold",
        "markdown.h6": "bold",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


class _PlainHeading(Heading):
    """At the left, without a frame."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Code(CodeBlock):
    """Indented by two, highlighted if its language is known, without a background."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        text = Text(code)
        if len(code) <= _MAX_HIGHLIGHTED:
            text = Syntax(code, self.lexer_name, theme=_CODE).highlight(code)
            text.rstrip()
        text.overflow = "fold"
        text.no_wrap = False
        yield Padding(text, (0, 0, 0, 2))


class _Message(Markdown):
    """Markdown of somebody who is not trusted."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _PlainHeading,
        "fence": _Code,
        "code_block": _Code,
    }
    inlines = Markdown.inlines | {"link", "target"}

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
        parser.disable(["reference", "html_block", "html_inline"])
        tokens = parser.parse(text)
        tables = of_tokens(tokens)
        if tables:
            tokens = parser.parse(whole(text, tables))
        self.parsed = [_spelled_out(token) for token in tokens]


def _spelled_out(token: Token) -> Token:
    """The token with its links and images as words."""
    if token.type == "inline" and token.children:
        token.children = list(_words(token.children))
    return token


def _words(tokens: list[Token]) -> Iterator[Token]:
    targets: list[tuple[str, str]] = []
    said = ""
    for token in tokens:
        if token.type == "link_open":
            targets.append((str(token.attrs.get("href", "")), said))
            yield Token("words_open", "link", 1)
        elif token.type == "link_close" and targets:
            yield Token("words_close", "link", -1)
            href, before = targets.pop()
            if said.removeprefix(before) != href:
                yield from _target(href)
        elif token.type == "image":
            alt = token.content or "image"
            said += alt
            yield Token("text", "", 0, content=f"[image: {alt}]")
            yield from _target(str(token.attrs.get("src", "")))
        else:
            said += token.content
            yield token


def _target(href: str) -> Iterator[Token]:
    yield Token("text", "", 0, content=" (")
    yield Token("words_open", "target", 1)
    yield Token("text", "", 0, content=href)
    yield Token("words_close", "target", -1)
    yield Token("text", "", 0, content=")")


def lines(text: str, width: int, *, colours: bool) -> Iterator[str]:
    """`text` laid out in `width` cells, line by line, safe to print; too long a text is only folded."""
    text = safe(text)
    console = Console(
        file=io.StringIO(),
        width=width,
        height=100,
        color_system="standard" if colours else None,
        force_terminal=True,
        force_jupyter=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        theme=_LOOKS,
        _environ={},
    )
    body = _Message(text) if len(text) <= MAX_LAID_OUT else Text(text, overflow="fold")
    options = console.options.update(width=width)
    for parts in Segment.split_lines(console.render(body, options)):
        yield "".join(_part(part, colours) for part in parts if not part.control).rstrip(" ")


def _part(part: Segment, colours: bool) -> str:
    text = safe(part.text).replace("\n", " ")
    if not colours or part.style is None or not text:
        return text
    return part.style.update_link(None).render(text, color_system=ColorSystem.STANDARD)
