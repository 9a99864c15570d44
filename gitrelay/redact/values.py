"""Whether what stands behind a secret-looking name is a secret, and not code, a reference, a word or a placeholder."""

from __future__ import annotations

import functools
import re
from typing import Final, NamedTuple

UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Style(NamedTuple):
    """How a value was given: to what kind of name, with which quotes and separator."""

    phrase: bool  # to a passphrase, which may be several words
    password: bool  # to a password, which may be short and a word; else to a token, a key
    weak: bool  # to `token` and no more; pagination and lexers have those too
    quoted: bool
    env: bool  # NAME=value
    tight: bool  # no blank around the separator
    line: bool  # `name: value` is the whole line
    said: bool  # "the password is ..."
    assigned: bool  # name = value, with or without blanks


@functools.cache
def _template() -> re.Pattern[str]:
    return re.compile(
        r"\$\{|\$\(|^[A-Za-z_][\w.]*\(.*\)$|\{\{|#\{|<%|%\(|%[sdrqv](?![A-Za-z0-9])|^\$[A-Za-z_][A-Za-z_0-9]*$|^%[A-Za-z_]\w*%$|^<[^>]*>?$"
        r"|^\{[\w.:!]*\}$|\{[a-z_][\w.]{0,40}\}|^@[A-Za-z_.]+@?$|^!|^\*[A-Za-z_]\w*$|^&[A-Za-z_]"
        r"|^(?:https?|file|s3|gs|op|ref\+\w+|vault|arn|ssm|secretsmanager|keyvault|awssm|kms|env|op|pass|data)://?"
        r"|^arn:|^(?:vault|env|file|secret|ssm|doppler|param|import|type|sealed|enc):|^ENC\[|^!"
        r"|\\[dwsSWD]|\[a-z|\[A-Z|\[0-9|\(\?|\.\*|\.\+$|^\^"
        r"|\.\.\.|\u2026|\*{3}|\u2022{3}"
    )


def is_template(value: str) -> bool:
    """A reference to a secret, a pattern, a cut: not a secret itself."""
    return _template().search(value) is not None


_DEFAULTS: Final = frozenset(
    """
    password passwd passw0rd pass pwd secret token key apikey user username admin root guest test postgres mysql redis
    mongo rabbitmq minio minioadmin changeme changeit change-me default none null nil undefined empty true false string
    str text foobar foo bar baz qux dummy fake mock sample example placeholder hidden masked redacted xxx xxxx todo
    fixme tbd required optional unset unknown invalid wrong incorrect letmein sekret user:pass mypassword mysecret
    yourpassword password1 password123 123456 1234567 12345678 123456789 1234567890 abc xyz anoncvs anonymous bearer
    basic oauth oauth2 jwt sha1 sha256 sha512 md5 bcrypt argon2 argon2id scrypt pbkdf2 base64 base32 base58 utf8 utf16
    ascii hs256 rs256 es256 aes128 aes256 ed25519 rsa2048 rsa4096 int32 int64 uint8 uint32 uint64 float32 float64 x509
    oauth1 http2 http3 ipv4 ipv6 i18n l10n k8s web3
    """.split()  # noqa: SIM905 - words, to be read as such
)
# a name in a program, less its number: arg1, param2, password3
_STEMS: Final = frozenset(
    """
    password passwd pass passphrase pwd secret token key apikey arg args var param value val user admin test foo bar baz
    string str line item node temp tmp data field input output result obj object sha md utf aes hs rs es v x y version
    step case row col column page part level type group dummy fake mock sample example placeholder abc mypassword
    mysecret mytoken newpassword oldpassword changeme
    """.split()  # noqa: SIM905
)
_PLACEHOLDER_WORDS = (
    r"(?<![a-z0-9])(?:your?s?|my|some|the|a|insert|enter|put|add|replace|replaceme|change|changeme|example|sample|dummy"
    r"|fake|mock|test|testing|tests|placeholder|here|todo|tbd|redacted|removed|hidden|masked|foo|bar|baz|foobar|abc"
    r"|none|null|default|required|optional|invalid|expired|wrong|bad|secret|token|password|key)(?![a-z0-9])"
)


@functools.cache
def _placeholder_word() -> re.Pattern[str]:
    return re.compile(_PLACEHOLDER_WORDS)


def is_default(value: str) -> bool:
    """A password that a program is shipped with, or that everybody writes where one would stand."""
    return value.lower() in _DEFAULTS


def is_placeholder(value: str) -> bool:
    """What stands for a secret in documents: xxxx, EXAMPLE, your-key; nothing that has a random part beside it."""
    lowered = value.lower()
    if "example" in lowered or re.search(r"x{5}|\*{3}|0{8}|\.\.\.", lowered):
        return True
    words = _placeholder_word().search(lowered) or re.search(r"(?<![a-z])(?:your|my)[_-]", lowered)
    return words is not None and not re.search(r"(?=[a-z]*[0-9])[a-z0-9+/]{12}", lowered)


@functools.cache
def _hash_like() -> re.Pattern[str]:
    return re.compile(
        rf"{UUID}|[0-9a-f]{{32}}|[0-9a-f]{{40}}|[0-9a-f]{{56}}|[0-9a-f]{{64}}|[0-9a-f]{{96}}|[0-9a-f]{{128}}"
    )


def is_secret(value: str, how: Style) -> bool:
    """Whether the value of a secret-looking name is a secret, and not code, a reference, a word or a placeholder."""
    if (
        len(value) < (6 if how.password or how.env else 8)
        or is_template(value)
        or is_default(value)
        or is_placeholder(value)
    ):
        return False
    if how.phrase and re.fullmatch(r"[a-z]{3,}(?: [a-z]{3,}){3,}", value):
        return not re.search(r"\b(?:the|your|and|for|must|enter|with|this|that|has|are|not)\b", value)
    if any(c.isspace() for c in value) or "[redacted:" in value:
        return False  # words for a person
    if re.match(
        r"\$(?:2[abxy]|argon2i?d?|pbkdf2[a-z0-9-]*|scrypt|[156y])\$|(?:sha[0-9]+|md5|h1)[-:$=]|\{(?:SSHA|SHA|CRYPT)",
        value,
    ):
        return False  # a hash
    if len(set(value)) < 4 or re.fullmatch(r"[~.]{0,2}(?:/[a-z.][a-z0-9._-]*){1,12}/?", value):
        return False  # ******, /run/secrets/db
    if how.weak and _hash_like().fullmatch(value.lower()):
        return False
    digits = sum(c.isdigit() for c in value)
    symbols = sum(not (c.isalnum() or c in "_-.") for c in value)
    letters = sum(c.isalpha() for c in value)
    if not letters:
        return how.password and digits >= 6 and (how.env or how.quoted) and not symbols and "-" not in value
    stripped = value.lstrip("#.@:$&*-")
    parts = re.split(r"[_.:/-]+|::|->", stripped)
    wordy = all(re.fullmatch(r"[A-Za-z]*[0-9]{0,2}|[0-9]{1,4}|v[0-9]+[a-z]?", part) for part in parts)
    if (
        "." in value
        and not how.quoted
        and not how.env
        and all(re.fullmatch(r"[A-Za-z_]+[0-9]*[A-Za-z_]*", part) for part in parts)
    ):
        return False  # an attribute: ed25519.Ed25519PrivateKey
    if wordy and len(parts) > 1:
        # snake_case, kebab-case-2, a.dotted.name: code or a setting; in NAME=value of a password it may be words
        return how.password and how.env and len(value) >= 12 and "." not in value and not value.isupper()
    if not digits and not symbols:
        if how.env:  # a word; in NAME=value it is one that somebody chose
            return len(value) >= (8 if how.password else 12) and not re.search("passw|token|_", value.lower())
        chosen = how.password and how.quoted and how.assigned and value.islower() and len(value) >= 10
        return chosen and not re.search("pass|token|user|word|text|auth", value)
    word = re.fullmatch(r"([A-Za-z_]+?)([0-9]{1,4})", value)
    if how.password:
        if word is not None:
            return word[1].lower() not in _STEMS and (how.quoted or how.env or how.line or how.said or how.tight)
        if symbols and not digits and not how.quoted and not how.env:
            return len(value) >= 8 and how.line
        return bool(digits or symbols)
    if word is not None:
        return (how.env or (len(value) >= 16 and len(word[2]) >= 3)) and word[1].lower() not in _STEMS
    least = 8 if how.env else 10 if how.quoted else 12 if how.tight or how.line else 16
    if digits == 1 and not symbols and not (re.search("[a-z]", value) and re.search("[A-Z]", value)):
        return False  # symbol2label
    return len(value) >= least and digits >= 1
