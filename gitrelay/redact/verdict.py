"""Whether the value of a secret-looking name is a secret, and not code, a reference, a word or a placeholder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gitrelay.redact.table import Rule, decide, lazy
from gitrelay.redact.values import (
    STEMS,
    is_address,
    is_default,
    is_description,
    is_hash,
    is_hash_sized,
    is_placeholder,
    is_shortcut,
    is_template,
)


@dataclass(eq=False)
class Value:
    """A value and how it was given: to what kind of name, with which quotes and separator."""

    text: str
    phrase: bool = False  # to a passphrase, which may be several words
    password: bool = False  # to a password, which may be short and a word; else to a token or a key
    weak: bool = False  # to `token` and no more; pagination and lexers have those too
    quoted: bool = False
    env: bool = False  # NAME=value
    tight: bool = False  # no blank around the separator
    line: bool = False  # `name: value` is the whole line
    said: bool = False  # "the password is ..."
    assigned: bool = False  # name = value, with or without blanks
    result: bool = False  # to `pass` and no more, which counts tests too

    @lazy
    def letters(self) -> int:
        return sum(c.isalpha() for c in self.text)

    @lazy
    def digits(self) -> int:
        return sum(c.isdigit() for c in self.text)

    @lazy
    def symbols(self) -> int:
        return sum(not (c.isalnum() or c in "_-.") for c in self.text)

    @lazy
    def parts(self) -> list[str]:
        """What is between the signs that join words."""
        return re.split(r"[_.:/-]+|::|->", self.text.lstrip("#.@:$&*-"))

    @lazy
    def joined(self) -> bool:
        """snake_case, kebab-case-2, a.dotted.name: code or a setting."""
        return len(self.parts) > 1 and all(
            re.fullmatch(r"[A-Za-z]*[0-9]{0,2}|[0-9]{1,4}|v[0-9]+[a-z]?", part) for part in self.parts
        )

    @lazy
    def numbered(self) -> tuple[str, str] | None:
        """(word, number) of a word with a number behind it: summer2024."""
        match = re.fullmatch(r"([A-Za-z_]+?)([0-9]{1,4})", self.text)
        return (match[1], match[2]) if match else None

    @lazy
    def word(self) -> bool:
        """Letters only, but for `_`, `-` and `.`."""
        return not self.digits and not self.symbols

    @lazy
    def own_stem(self) -> bool:
        """A numbered word that is none of those that programs number: arg1, password3."""
        return self.numbered is not None and self.numbered[0].lower() not in STEMS


def _too_short(v: Value) -> bool:
    return len(v.text) < (6 if v.password or v.env else 8)


def _several_words(v: Value) -> bool:
    return v.phrase and re.fullmatch(r"[a-z]{3,}(?: [a-z]{3,}){3,}", v.text) is not None


def _described(v: Value) -> bool:
    """24h-valid, AES256-encrypted, 42of42tests: what is said of a password or a test, not the password."""
    return (not v.env or v.result) and is_description(v.text)


def _instruction(v: Value) -> bool:
    words = r"\b(?:the|your|and|for|must|enter|with|this|that|has|are|not)\b"
    return _several_words(v) and re.search(words, v.text) is not None


def _path(v: Value) -> bool:
    return re.fullmatch(r"[~.]{0,2}(?:/[a-z.][a-z0-9._-]*){1,12}/?", v.text) is not None


def _attribute(v: Value) -> bool:
    """ed25519.Ed25519PrivateKey"""
    if "." not in v.text or v.quoted or v.env:
        return False
    return all(re.fullmatch(r"[A-Za-z_]+[0-9]*[A-Za-z_]*", part) for part in v.parts)


def _pin(v: Value) -> bool:
    if v.letters or not v.password or v.digits < 6 or v.symbols or "-" in v.text:
        return False
    return v.env or v.quoted


def _chosen_words(v: Value) -> bool:
    """Words that somebody joined to a password: NAME=correct-horse-battery."""
    return v.joined and v.password and v.env and len(v.text) >= 12 and "." not in v.text and not v.text.isupper()


def _chosen_word(v: Value) -> bool:
    """One word that somebody chose: NAME=swordfishing."""
    if not v.word or not v.env or re.search("passw|token|_", v.text.lower()):
        return False
    return len(v.text) >= (8 if v.password else 12)


def _quoted_word(v: Value) -> bool:
    if not (v.word and v.password and v.quoted and v.assigned and not v.env):
        return False
    return v.text.islower() and len(v.text) >= 10 and not re.search("pass|token|user|word|text|auth", v.text)


def _numbered_password(v: Value) -> bool:
    return v.password and v.own_stem and (v.quoted or v.env or v.line or v.said or v.tight)


def _signs_in_a_text(v: Value) -> bool:
    """Letters and signs without a digit, not in quotes: a sentence, or code, unless it is alone on its line."""
    if not (v.password and v.symbols and not v.digits and not v.quoted and not v.env):
        return False
    return len(v.text) < 8 or not v.line


def _numbered_token(v: Value) -> bool:
    if v.numbered is None or not v.own_stem:
        return False
    return v.env or (len(v.text) >= 16 and len(v.numbered[1]) >= 3)


def _one_digit(v: Value) -> bool:
    """symbol2label"""
    if v.digits != 1 or v.symbols:
        return False
    return not (re.search("[a-z]", v.text) and re.search("[A-Z]", v.text))


def _token(v: Value) -> bool:
    least = 8 if v.env else 10 if v.quoted else 12 if v.tight or v.line else 16
    return len(v.text) >= least and v.digits >= 1


RULES: Final[tuple[Rule[Value], ...]] = (
    Rule("too-short", _too_short, False),
    Rule("reference", lambda v: is_template(v.text), False),
    Rule("default", lambda v: is_default(v.text), False),
    Rule("placeholder", lambda v: is_placeholder(v.text), False),
    Rule("instruction", _instruction, False),
    Rule("passphrase", _several_words, True),
    Rule("keyboard-shortcut", lambda v: is_shortcut(v.text), False),
    Rule("mail-address", lambda v: is_address(v.text), False),
    Rule("description", _described, False),
    Rule("sentence", lambda v: any(c.isspace() for c in v.text), False),
    Rule("redacted", lambda v: "[redacted:" in v.text, False),
    Rule("hash", lambda v: is_hash(v.text), False),
    Rule("repeated", lambda v: len(set(v.text)) < 4, False),  # ******
    Rule("path", _path, False),  # /run/secrets/db
    Rule("hash-of-a-weak-name", lambda v: v.weak and is_hash_sized(v.text.lower()), False),
    Rule("pin", _pin, True),
    Rule("no-letters", lambda v: not v.letters, False),
    Rule("attribute", _attribute, False),
    Rule("chosen-words", _chosen_words, True),
    Rule("joined-words", lambda v: v.joined, False),
    Rule("chosen-word", _chosen_word, True),
    Rule("quoted-word", _quoted_word, True),
    Rule("word", lambda v: v.word, False),
    Rule("numbered-password", _numbered_password, True),
    Rule("numbered-name", lambda v: v.password and v.numbered is not None, False),
    Rule("signs-in-a-text", _signs_in_a_text, False),
    Rule("password", lambda v: v.password, True),
    Rule("numbered-token", _numbered_token, True),
    Rule("numbered-name", lambda v: v.numbered is not None, False),
    Rule("one-digit", _one_digit, False),
    Rule("token", _token, True),
)


def verdict(value: Value) -> Rule[Value] | None:
    """The rule that decides; None, which is no secret, if none does."""
    return decide(RULES, value)
