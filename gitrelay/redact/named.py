"""The value of a name that says what it is: `password`, `token`, `secret`, `api_key` and the like."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gitrelay.redact.span import Span
from gitrelay.redact.table import Rule, decide, lazy
from gitrelay.redact.verdict import Value, verdict

_OPENING: Final = ("(", "[", "{", "<")
_VALUE_MAX: Final = 4096  # characters of a quoted value
_BARE_MAX: Final = 512  # characters of a value without quotes
_QUOTE_MAX: Final = 6  # characters of a closing quote with its escapes
_NAME_MAX: Final = 64  # characters of a name that are looked at

# what such a name ends in, in lower case; `key` only with a word before it (`_KEYS`)
_WORDS: Final = ("pass", "pwd", "secret", "token", "credential", "key", "psk", "_pw")
_KEYS = (
    r"(?:api|app|access|auth|secret|private|priv|signing|encryption|decryption|encrypt|master|account|storage"
    r"|service|shared|share|client|deploy|deployment|webhook|hmac|jwt|admin|server|root|license|registration"
    r"|security|subscription|shared_?access|aes|ssh|gpg|vault|bot)[ _.-]?key$"
)
_NO_SECRETS = (
    r"public|csrf|xsrf|hash|digest|encrypted|masked|redact"
    r"|(?:^|[_.-])(?:first|second|third|last|final|render|depth|shadow|shader|color|light|lighting|geometry|forward|post"
    r"|optimizer|compiler|single|multi|one|two|nth)[_.-]?pass(?:es)?$"
    r"|(?:^|[_.-])(?:page|next|prev|previous|continuation|cursor|forward|backward|start|starting|skip|delta|change|scroll"
    r"|marker|list|pagination|sync|resume|cancel|cancellation|cancelation|abort|stop|fencing|idempotency|max|min|num|n|total|count"
    r"|input|output|cached|prompt|completion|reasoning|pad|eos|bos|unk|sep|cls|mask|special|design|css|color|partition"
    r"|sort|primary|foreign|cache|object|accept|idempotent|client_request)[_.-]?(?:tokens?|key)$"
)
_TAIL = (
    r"(?P<word>word|wd|phrase|code|wort)?s?"
    r"(?:[_-](?:base|value|prod|production|dev|development|staging|stage|live|test|old|new|main|primary|secondary"
    r"|b64|base64|plain|text|[0-9]{1,3})|[0-9]{1,2})?"
    r"(?![A-Za-z0-9_])\*{0,2}(?P<close>\\{0,3}[\"'`]?\]?)\*{0,2}"
    # a type between the name and its value
    r"(?::[ \t]{0,4}(?:&'?)?[A-Za-z_][\w.\[\]|&' ]{0,40}?(?=[ \t]{1,4}=[ \t]|=[\"']))?"
    r"(?P<sep>[ \t]{0,16}(?:=>|:=|={1,3}|::|:|!=)[ \t]{0,16}|>|[ \t]{0,2},[ \t]{0,4}(?=\\{0,3}[\"'`])"
    r"|[ \t]{1,4}(?:is|was|to)(?:[ \t]{1,4}|:[ \t]{0,4})|[ \t]{1,4})"
)


@functools.cache
def _tail() -> re.Pattern[str]:
    return re.compile(_TAIL, re.IGNORECASE | re.ASCII)


@functools.cache
def _bare() -> re.Pattern[str]:
    return re.compile(rf"[^\s\"'`,;<>(){{}}\[\]|&\\]{{1,{_BARE_MAX}}}")


@functools.cache
def _quote() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z@$]{0,2}(?P<slashes>\\{0,3})(?P<quote>\"\"\"|'''|[\"'`])")


@functools.cache
def _keys() -> re.Pattern[str]:
    return re.compile(_KEYS)


@functools.cache
def _hump() -> re.Pattern[str]:
    return re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@functools.cache
def _no_secrets() -> re.Pattern[str]:
    return re.compile(_NO_SECRETS)


def find(text: str) -> Iterator[Span]:
    """The values of secret-looking names."""
    lower = text.lower()
    if len(lower) != len(text):  # one letter of Unicode has a longer lower case
        lower = text.translate({code: code + 32 for code in range(65, 91)})
    tail = _tail()
    for word in _WORDS:
        seen, tries = 0, 0  # how far values were looked at, and how many of the last ones began inside another
        at = lower.find(word)
        while at >= 0:
            end = at + len(word)
            match = tail.match(text, end)
            if match is not None and not (match["word"] and word != "pass"):
                found = _value_at(text, match)
                if found is not None:
                    start, stop, quoted = found
                    tries = tries + 1 if start < seen else 0
                    if tries < 8:
                        seen = stop
                        span = _judged(_Named(text, lower, at, match, start, stop, quoted))
                        if span is not None:
                            yield span
            at = lower.find(word, end)


def _value_at(text: str, match: re.Match[str]) -> tuple[int, int, bool] | None:
    """(start, end, whether in quotes) of the value behind a name and its separator."""
    at = match.end()
    opening = _quote().match(text, at)
    if opening is not None:
        quote = opening["quote"]
        start = opening.end()
        limit = start + _VALUE_MAX
        end = text.find(quote, start, limit)
        while end > start and not opening["slashes"] and text[end - 1] == "\\":
            end = text.find(quote, end + 1, limit)
        newline = text.find("\n", start, end if end >= 0 else limit)
        if end < 0 or newline >= 0:
            return None
        return start, end - len(opening["slashes"]), True
    bare = _bare().match(text, at)
    if bare is None:
        return None
    return bare.start(), bare.end(), False


@dataclass(eq=False)
class _Named:
    """A name with the word at `at`, `match` of what follows the word, and the value `text[start:end]`."""

    text: str
    lower: str
    at: int
    match: re.Match[str]
    start: int
    end: int
    quoted: bool

    @lazy
    def begin(self) -> int:
        begin = self.at
        while (
            begin > 0
            and self.at - begin < _NAME_MAX
            and (self.text[begin - 1].isalnum() or self.text[begin - 1] in "_.-")
        ):
            begin -= 1
        return begin

    @lazy
    def name(self) -> str:
        """In lower case."""
        return self.lower[self.begin : self.match.start("close")]

    @property
    def words(self) -> str:
        """The name in lower case, with its words apart: next_page_token of nextPageToken."""
        name = self.text[self.begin : self.match.start("close")]
        return _hump().sub("_", name).lower()

    @lazy
    def word(self) -> str:
        """The part of the name that says secret: pass, key, ..."""
        return self.lower[self.at : self.match.start()]

    @property
    def with_word(self) -> str:
        """The word and what is before it, also behind a blank: api key."""
        return self.lower[max(0, self.at - 24) : self.match.start()]

    @lazy
    def bare_pass(self) -> bool:
        """`pass` and no more, not password or passphrase."""
        return self.word == "pass" and not self.match["word"]

    @lazy
    def sep(self) -> str:
        return self.match["sep"]

    @lazy
    def kind(self) -> str:
        """The separator without blanks; '' for a blank."""
        return self.sep.strip()

    @lazy
    def said(self) -> bool:
        """the password is ..."""
        return self.kind.strip(": ") in ("is", "was", "to")

    @lazy
    def after(self) -> str:
        """The character behind a value without quotes."""
        return "" if self.quoted else self.text[self.end : self.end + 1]

    @lazy
    def before(self) -> str:
        """The character before the name."""
        return self.text[self.begin - 1 : self.begin] if self.begin else ""

    @lazy
    def env(self) -> bool:
        """NAME=value"""
        if self.sep != "=" or self.quoted:
            return False
        return self.text[self.begin : self.at].isupper() or self.text[self.at : self.match.start()].isupper()

    @lazy
    def goes_on(self) -> bool:
        """NAME=value at the beginning of a line, whose value goes on behind a bracket."""
        return self.after in (*_OPENING, "&", "|") and self.env and _begins_a_line(self.text, self.begin)


def _blank(n: _Named) -> bool:
    """Only a blank between name and value: that is no value, but for an option and for PASSWORD 'x' in SQL."""
    if n.kind or n.name.startswith("--"):
        return False
    return not (n.quoted and n.match["word"] and n.text[n.start - 1] != "`")


def _listed(n: _Named) -> bool:
    """A comma behind a name that is not in quotes, or behind "pass" alone: no key and its value."""
    return n.kind == "," and (n.name == "pass" or not n.match["close"].strip("]\\"))


def _call_or_type(n: _Named) -> bool:
    """token(...), token[...], Token<...>; not the end of an element of XML."""
    return n.after in _OPENING and not n.goes_on and not (n.after == "<" and n.kind == ">")


# why the value of a name is not looked at; none of these says that it is a secret
NAME_RULES: Final[tuple[Rule[_Named], ...]] = (
    Rule("key-of-something-else", lambda n: n.word == "key" and not _keys().search(n.with_word), False),
    Rule("pass-in-a-word", lambda n: n.bare_pass and not _begins_a_word(n.text, n.at), False),  # bypass
    Rule("harmless-name", lambda n: _no_secrets().search(n.words) is not None, False),
    Rule("no-tag", lambda n: n.kind == ">" and n.before not in ("<", "/"), False),
    Rule("blank", _blank, False),
    Rule("pass-is", lambda n: n.said and n.bare_pass, False),
    Rule("list-of-words", _listed, False),
    Rule("call-or-type", _call_or_type, False),
)  # fmt: skip


def _judged(n: _Named) -> Span | None:
    if decide(NAME_RULES, n) is not None:
        return None
    end = n.end
    if n.goes_on:
        end = _all_of_it().match(n.text, end, end + _BARE_MAX).end()  # type: ignore[union-attr]
    value = n.text[n.start : end]
    if not n.quoted:
        value = value.rstrip(".:!?" if n.said else ".:" if n.kind else "")
        end = n.start + len(value)
    value, start = _without_scheme(value, n.start)
    password = n.word in ("pass", "pwd", "_pw", "psk")
    tight = n.sep == "=" and not n.quoted
    rule = verdict(
        Value(
            value,
            phrase=n.quoted and n.match["word"] is not None and n.match["word"].lower() == "phrase",
            password=password,
            weak=not tight and n.name.strip("-") in ("token", "tokens", "credential", "credentials"),
            quoted=n.quoted or n.kind == ">",
            env=n.env,
            tight=tight or not n.kind,
            line=n.kind == ":" and _is_whole_line(n.text, n.begin, end),
            said=n.said,
            assigned=n.kind in ("=", ":=", "=="),
            result=n.bare_pass,
        )
    )
    if rule is None or not rule.secret:
        return None
    until = min(end + (_QUOTE_MAX if n.quoted else 0), len(n.text))
    return Span(start, end, "password" if password else "secret", n.begin, until, rule.name)


def _without_scheme(value: str, start: int) -> tuple[str, int]:
    """`Bearer x`, `base64:x` -> `x`."""
    match = re.match(r"(?i:bearer|basic|token|bot|base64:)[ ]{0,4}(?=[^\s]{8})", value)
    if match is not None and (match[0][-1] in " :"):
        return value[match.end() :], start + match.end()
    return value, start


def _begins_a_word(text: str, at: int) -> bool:
    """Whether `pass` at `at` is a word of its own, and not the end of `bypass`."""
    if at == 0 or not text[at - 1].isalnum():
        return True
    return (text[at] == "P" and text[at - 1].islower()) or (text[at - 1] in "nrt" and text[at - 2 : at - 1] == "\\")


def _begins_a_line(text: str, begin: int) -> bool:
    """Whether a name at `begin` is the first thing of its line but for `export`."""
    before = text[max(0, begin - 40) : begin].rpartition("\n")[2]
    return not before.strip(" \t-+").removeprefix("export").strip(" \t")


@functools.cache
def _all_of_it() -> re.Pattern[str]:
    return re.compile(r"[^\s\"'`\\]*")


def _is_whole_line(text: str, begin: int, end: int) -> bool:
    """Whether `name: value` is all of its line, as in YAML."""
    before = text[max(0, begin - 40) : begin].rpartition("\n")[2].rpartition("\\n")[2]
    after = text[end : end + 40].partition("\n")[0].partition("\\n")[0]
    return not before.strip(" \t-\"'*>#$+") and (not after.strip(" \t\r\"'") or after.lstrip().startswith("#"))
