"""Paragraphs that are rendered without the parser: the same bytes as with it, whatever lies around them."""

from __future__ import annotations

import random
from typing import Final

import pytest

from gitrelay.report import words
from gitrelay.report.markdown import parsed, render
from gitrelay.report.paragraphs import Kind, split

# pieces that texts are made of: what is plain, what is markup, what is nearly one or the other
_WORDS: Final = [
    *(
        "the",
        "tests",
        "of",
        "parser_py",
        "fail",
        "it's",
        "é_é",
        "漢字",
        "-q",
        "-(r)",
        "end.",
        "(h)",
        '"i"',
        "'j'",
        "t_u_v",
        "z~",
        "b~c",
        ":",
    ),
    *(
        "a__b",
        "_c_",
        "d_",
        "*e*",
        "**f**",
        "*",
        "_",
        "ü*",
        "_漢_",
        "~~a~~",
        "~",
        "!",
        "r!",
        "https://n.o/p_q_r",
        "http://l.m",
    ),
    *(
        "`g`",
        "`h` `",
        "``",
        "i`j",
        "`k l`",
        "` m`",
        "`n`",
        "o`p",
        "`r_s`",
        "`\\`",
        "`<b>`",
        "`&`",
        "`a`b",
        "`a``b`",
        "f`b`z",
    ),
    *(
        "\\q",
        "\\",
        "![s](t)",
        "[u](v)",
        "[w]",
        "[x]:",
        "x&",
        "&amp;",
        "&y;",
        "&#35;",
        "<b>",
        "<c@d.e>",
        "<",
        "=",
        "f<g",
        "k>",
    ),
    *("1.", "2)", "-", "+", "#", "|", "a|b", "---", "===", "\t", "", "```", "a\xa0", "\u3000"),
]
_STARTS: Final = (
    "",
    "",
    "",
    "",
    "",
    "- ",
    "* ",
    "1. ",
    "2) ",
    "> ",
    "# ",
    "    ",
    "  ",
    "\t",
    "   - ",
    "| ",
    "```",
    "~~~",
    "`",
    "=",
    "---",
    "+ ",
)
_BREAKS: Final = (
    "\n",
    "\n",
    "\n\n",
    "\n\n",
    "\n \n",
    "\n\n\n",
    "  \n",
    "\\\n",
    " \n",
    "\n```\n",
    "\n```py\n",
    "\n~~~\n",
    "\n````\n",
    "\n  ```\n",
)


def _text(chance: random.Random) -> str:
    plain = chance.random() < 0.5  # half of the texts are mostly words, so that paragraphs are plain
    known = [*_WORDS[:6], "`g`", "(h)", "a_b"] if plain else _WORDS
    lines = []
    for _ in range(chance.randint(1, 8)):
        start = chance.choice(_STARTS) if chance.random() < (0.1 if plain else 0.6) else ""
        lines.append(start + " ".join(chance.choices(known, k=chance.randint(1, 5))))
        lines.append(chance.choice(_BREAKS) if not plain or chance.random() < 0.2 else chance.choice(_BREAKS[:4]))
    return words.plain("".join(lines))


@pytest.mark.parametrize("part", range(4))
def test_the_parser_would_have_made_the_same(part: int) -> None:
    plain = 0
    for number in range(600):
        text = _text(random.Random(f"{part} {number}"))
        plain += sum(kind is not Kind.OTHER for kind, _ in split(text))
        assert render(text) == words.spelt_out(parsed(text)), repr(text)
    assert plain > 300, "of too few paragraphs anything is said"


@pytest.mark.fast
def test_what_is_plain_and_what_is_not() -> None:
    def kinds(text: str) -> str:
        return " ".join(kind.name.lower() for kind, _ in split(text))

    assert kinds("I ran `pytest -q` in a_b.\nIt's 3 < 4 & done.\n\nNext.") == "plain plain"
    assert kinds("One.\n\n- a\n\n- b\n\nTwo.\n\n```\nx\n\ny\n```\n\nThree.") == "plain other plain fenced plain"
    assert kinds("One:\n```\nx\n```\nTwo.") == "plain fenced plain", "a fence ends a paragraph"
    assert kinds("One.\n\n- ```\n\nTwo.\n\nThree.") == "plain other", "a fence in a list may be open"
    assert kinds("One.\n\n[a]: b\n\n[a]") == "other"
    for text in ("1. a", "a *b*", "a [b](c)", "a\nb  \nc", "a\n===", "a\\b", "&lt;", "a ` b", "a|b\n-|-", "_a_", ""):
        assert kinds(text) == "other", text
