"""What is no secret wherever it is found: references, placeholders, defaults, hashes."""

from __future__ import annotations

import functools
import re
from typing import Final

UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


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
    1password lastpass oauth1 http2 http3 ipv4 ipv6 i18n l10n k8s web3
    """.split()  # noqa: SIM905 - words, to be read as such
)
# a name in a program, less its number: arg1, param2, password3
STEMS: Final = frozenset(
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
    """A password that a program is shipped with, or that people write in place of a real one."""
    return value.lower() in _DEFAULTS


def is_placeholder(value: str) -> bool:
    """What documents show instead of a secret: xxxx, EXAMPLE, your-key; but not if a random part is next to it."""
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


@functools.cache
def _hash() -> re.Pattern[str]:
    return re.compile(
        r"\$(?:2[abxy]|argon2i?d?|pbkdf2[a-z0-9-]*|scrypt|[156y])\$|(?:sha[0-9]+|md5|h1)[-:$=]|\{(?:SSHA|SHA|CRYPT)"
    )


def is_hash(value: str) -> bool:
    """Whether the value says of itself that it is a hash: $2b$..., sha256:..., {SSHA}..."""
    return _hash().match(value) is not None


def is_hash_sized(value: str) -> bool:
    """Whether lower-case `value` has the form of a UUID or the length of a hash in hexadecimal."""
    return _hash_like().fullmatch(value) is not None


_UNITS = (
    r"(?:chars?|characters?|letters?|digits?|symbols?|words?|bits?|bytes?|[kmg]i?b|[kmg]?bps|[kmg]?hz|fps|px|k|x"
    r"|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|am|pm|d|days?|w|weeks?|months?|y|years?|times?|percent|pct"
    r"|tests?|cases?|checks?|files?|lines?|rows?|pages?|items?|users?|tokens?|jobs?|steps?|rounds?|suites?|specs?"
    r"|attempts?|tries|retries|calls?|iterations?|machines?|ok|passed|failed|skipped|st|nd|rd|th|fa)"
)
_COUNT = rf"[0-9]{{1,5}}(?:of[0-9]{{1,5}})?[%+]?(?:{_UNITS}(?:[0-9]{{1,2}}{_UNITS})?)?"
_TERM = (
    r"(?:aes|sha|hs|rs|es|ps|rsa|ed|ecdsa|curve|chacha|blake|hmac|pbkdf|bcrypt|argon|md|crc|base|utf|iso|latin|oauth"
    r"|http|tls|ssl|ipv|rfc|pkcs|fips|p|v|min|max)[0-9]{1,5}(?:url|encoded|id|[a-z])?(?:max[0-9]{1,4})?"
)


@functools.cache
def _description() -> re.Pattern[str]:
    part = rf"(?:[a-z]{{2,}}|{_COUNT}|{_TERM})"
    between = r"[-_/.,:]"  # not @ or +: Winter@2024 is a password
    return re.compile(rf"[~<>#+]?(?:{part}(?:{between}{part})+|{_COUNT}|{_TERM})[+.,:]?", re.IGNORECASE)


def is_description(value: str) -> bool:
    """A count, a measure, a term, or some of them joined to words: 12chars, 42of42tests, 24h-valid, HS256-signed."""
    found = _description().fullmatch(value)
    return found is not None and re.search("[0-9]", value) is not None and re.search("[A-Za-z]", value) is not None


@functools.cache
def _shortcut() -> re.Pattern[str]:
    held = "ctrl|control|alt|altgr|option|opt|shift|cmd|command|meta|super|win|fn|hyper|mod"
    return re.compile(rf"(?:(?:{held})[ ]?[+-][ ]?)+\S{{1,12}}", re.IGNORECASE)


def is_shortcut(value: str) -> bool:
    """Keys that are pressed together: Alt+Shift+7."""
    return _shortcut().fullmatch(value) is not None


@functools.cache
def _address() -> re.Pattern[str]:
    return re.compile(r"[a-z0-9._+-]+@(?:[a-z0-9-]+\.)+(?:[a-z]{2,}|[0-9]{1,3})")


def is_address(value: str) -> bool:
    """ann@example.org, root@10.0.0.1"""
    return _address().fullmatch(value) is not None
