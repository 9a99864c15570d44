"""Passwords on command lines: the value of an option that a well-known program takes a password with.

An option such as `-p` says nothing by itself, so each is looked for together with a program before it in the same
command. What a reference, a default or a placeholder is stays: -p"$PASS", -pPASSWORD, -u user:password.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gitrelay.redact.span import Span
from gitrelay.redact.values import is_default, is_placeholder, is_template

FLAG: Final = "flag-password"  # the name of the rule, but for curl's
_COMMAND_MAX: Final = 500  # characters of a command before an option that are looked at
_QUOTE = r"\\{0,3}[\"']"  # also escaped in JSON
_VALUE = (
    r"(?:\\{0,3}\"(?P<double>[^\"\n\\]{1,256})\\{0,3}\"|\\{0,3}'(?P<single>[^'\n\\]{1,256})\\{0,3}'"
    r"|(?P<bare>[^\s\"'`;|&<>()\\]{1,256}))"
)
_GAP = (
    rf"(?:[ \t=]{{1,4}}|{_QUOTE},[ \t]{{0,4}}(?={_QUOTE}))"  # between an option and its value, also in a list of words
)
_PAIR = rf"(?:{_QUOTE})?[^\s:\"'`/\\]{{1,64}}:"  # the user before a password


class _Flag(NamedTuple):
    """`options` of `programs`. A program is its name, or its name and a verb, between which other words may be.

    `value` is what is between the option and the password.
    """

    programs: tuple[str, ...]
    options: tuple[str, ...]
    value: str = _GAP
    name: str = FLAG


_MYSQL: Final = (
    "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mysqlslap", "mysqlpump", "mysqlsh",
    "mysqlbinlog", "mysql_upgrade", "mariadb", "mariadb-dump", "mariadb-admin", "mariadb-check", "mariadb-import",
    "mariabackup", "xtrabackup", "innobackupex", "mycli", "mydumper", "myloader",
)  # fmt: skip
_LOGIN: Final = (
    "docker login", "podman login", "buildah login", "skopeo login", "nerdctl login", "oras login", "crane login",
    "regctl login", "helm login", "az login", "oc login", "cf login", "argocd login", "twine upload",
)  # fmt: skip
_CLIENTS: Final = (
    "mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat", "mongotop", "cqlsh",
    "cypher-shell", "rabbitmqadmin", "rdesktop", "crackmapexec", "netexec", "evil-winrm", "smbmap", "ncftpput",
)  # fmt: skip
_LDAP: Final = ("ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldappasswd", "ldapwhoami", "ldapcompare")
_REDIS: Final = ("redis-cli", "valkey-cli", "keydb-cli")

# From the manuals of the programs. A long option that says what it takes, as --password=X, is found by `named`.
FLAGS: Final = (
    _Flag(_MYSQL, ("-p",), ""),  # with a blank behind it, it asks
    _Flag(_LOGIN, ("-p",)),
    _Flag(_CLIENTS, ("-p",)),
    _Flag(_REDIS, ("-a", "--pass")),
    _Flag(("curl",), ("-u",), rf"(?:{_GAP})?{_PAIR}", "curl-user"),
    _Flag(("curl",), ("-U", "--user", "--proxy-user"), rf"{_GAP}{_PAIR}", "curl-user"),
    _Flag(("http", "https", "xh", "xhs"), ("-a", "--auth"), rf"{_GAP}{_PAIR}"),
    _Flag(("skopeo", "podman", "buildah"), ("--creds", "--src-creds", "--dest-creds"), rf"{_GAP}{_PAIR}"),
    _Flag(("sqlcmd", "bcp", "osql", "isql", "tsql", "ipmitool"), ("-P",)),
    _Flag(("zip", "unzip"), ("-P",), rf"(?:{_GAP})?"),
    _Flag(("7z", "7za", "7zr", "7zz", "rar", "unrar"), ("-p", "-hp"), ""),
    _Flag(_LDAP, ("-w",)),
    _Flag(("plink", "pscp", "psftp", "putty", "winscp"), ("-pw",)),
    _Flag(("influx",), ("-password",)),
    _Flag(("openssl",), ("-passin", "-passout", "-pass"), rf"{_GAP}(?:{_QUOTE})?pass:"),
    _Flag(("keytool", "jarsigner"), ("-storepass", "-keypass", "-srcstorepass", "-deststorepass")),
    _Flag(("smbclient", "rpcclient", "smbget"), ("-U",), rf"{_GAP}(?:{_QUOTE})?[^\s%\"'\\]{{1,64}}%"),
    _Flag(("lftp",), ("-u",), rf"{_GAP}(?:{_QUOTE})?[^\s,\"'\\]{{1,64}},"),
    _Flag(("snmpwalk", "snmpget", "snmpbulkwalk"), ("-A", "-X")),
)

_SAME: Final = r"[^|;\n]{0,200}?[ \t]"  # in the same command

# Passwords without an option: a literal, and what is between it and the password.
_PLACES: Final = (
    ("sshpass", rf"(?:{_QUOTE},)?[ \t]*(?:-v[ \t]+)?(?:{_QUOTE})?-p(?:{_QUOTE},)?[ \t]{{0,4}}"),
    ("htpasswd", r"[ \t]+-[A-Za-z]*b[A-Za-z]*(?:[ \t]+\S{1,200}){1,4}?[ \t]+(?=\S+[ \t]*(?:$|[\n|;>&)`\"']))"),
    *(
        ("rabbitmqctl", rf"[ \t]+(?:-\S+[ \t]+){{0,4}}{verb}[ \t]+\S+[ \t]+")
        for verb in ("add_user", "change_password")
    ),
    ("sqlplus", r"(?:[ \t]+-\S+){0,4}[ \t]+[\"']?[A-Za-z_]\w{0,30}/(?=[^\s@]{3,64}@)"),
    ("mc alias set", r"[ \t]+\S+[ \t]+\S+[ \t]+\S+[ \t]+"),
    ("cf auth", r"[ \t]+\S+[ \t]+"),
    ("wpa_passphrase", r"[ \t]+(?:\"[^\"\n]{1,64}\"|\S+)[ \t]+"),
    ("REDISCLI_AUTH=", ""),
    *((name, rf"{_SAME}AUTH[ \t]{{1,4}}") for name in _REDIS),
    ("aws configure", rf"{_SAME}aws_(?:secret_access_key|session_token)[ \t]{{1,4}}"),
    ("freerdp", rf"{_SAME}/p:"),
    ("cmdkey", rf"{_SAME}/pass:"),
)
_STDIN: Final = ("-stdin", " -S", "--with-token", "cryptsetup ", "kinit ")
_ECHO = r"(?:-[nEe]+[ \t]+)?(?:[\"']%s(?:\\{1,2}n)?[\"'][ \t]+)?"
_READS_IT = (
    r"(?:sudo[^|;\n]{0,40}? -S\b|[^|;\n]{0,80}? --(?:(?:password|pass|token|passphrase)-stdin|with-token)\b"
    r"|passwd[^|;\n]{0,40}? --stdin\b|cryptsetup |kinit )"
)
# what is piped to a program that reads a password from stdin; to chpasswd with the user before it
_PIPES: Final = (
    (_STDIN, rf"{_ECHO}{_VALUE}[ \t]{{0,4}}\|[ \t]{{0,4}}{_READS_IT}"),
    (("chpasswd",), rf"{_ECHO}{_PAIR}{_VALUE}[\"']?[ \t]{{0,4}}\|[^|;\n]{{0,40}}?chpasswd"),
)  # fmt: skip


@functools.cache
def _options() -> re.Pattern[str]:
    """What begins as an option does. The search is for a literal, which `re` does fast."""
    return re.compile(r"-(?<=[\s\"']-)[A-Za-z-]{1,16}")


@functools.cache
def _by_start() -> Mapping[str, Sequence[tuple[str, _Flag]]]:
    """The first two characters of an option -> the options and what they are of."""
    found: dict[str, list[tuple[str, _Flag]]] = {}
    for flag in FLAGS:
        for option in flag.options:
            found.setdefault(option[:2], []).append((option, flag))
    return found


@functools.cache
def _value(between: str) -> re.Pattern[str]:
    return re.compile(between + _VALUE)


@functools.cache
def _placed(literal: str, between: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(literal)}{between}{_VALUE}")


@functools.cache
def _piped(word: str, rest: str) -> re.Pattern[str]:
    return re.compile(rf"{word}[ \t]+{rest}")


@functools.cache
def _program(programs: tuple[str, ...]) -> re.Pattern[str]:
    """One of `programs` as a word, with at most four words before its verb."""
    apart = r"[\s\"',]{1,6}+(?:[^\s\"',]{1,40}+[\s\"',]{1,6}+){0,4}?"
    names = "|".join(re.escape(name).replace(r"\ ", apart) for name in programs)
    return re.compile(rf"(?:^|[\s/\"'`(=$]|\\n)(?P<program>{names})(?:\.exe|[0-9.]{{1,4}})?(?=[\s\"'])")


def find(text: str) -> Iterator[Span]:
    """The values of FLAGS, the passwords in _PLACES, and those that are piped to a program."""
    yield from _of_options(text)
    for literal, between in _PLACES:
        if literal in text:
            for match in _placed(literal, between).finditer(text):
                yield from _span(match, match.start(), FLAG)
    for readers, rest in _PIPES:
        if any(reader in text for reader in readers):
            for word in ("echo", "printf"):
                for match in _piped(word, rest).finditer(text):
                    yield from _span(match, match.start(), FLAG)


def _of_options(text: str) -> Iterator[Span]:
    flags = _by_start()
    for match in _options().finditer(text):
        for option, flag in flags.get(match[0][:2], ()):
            if match[0].startswith(option):
                value = _value(flag.value).match(text, match.start() + len(option))
                if value is None or _closed(text, match.start(), value):
                    continue
                begin = _command(text, match.start(), flag.programs)
                if begin >= 0:
                    yield from _span(value, begin, flag.name)


def _closed(text: str, at: int, value: re.Match[str]) -> bool:
    """Whether it is the quote after an option in quotes that seems to begin its value: "-p", and nothing for it."""
    return (
        text[at - 1] in "\"'" and text[value.start()] == text[at - 1] and "," not in text[value.start() : _start(value)]
    )


def _command(text: str, at: int, programs: tuple[str, ...]) -> int:
    """Where the program of the command begins that an option at `at` belongs to; -1 if it is none of `programs`."""
    low = max(0, at - _COMMAND_MAX)
    for end in ("\n", "\\n", ";", "|", "&&"):
        low = max(low, text.rfind(end, low, at))
    command = text[low:at]
    if not any(all(word in command for word in name.split(" ")) for name in programs):
        return -1
    found = _program(programs).search(text, low, at)
    return found.start("program") if found else -1


def _span(match: re.Match[str], begin: int, name: str) -> Iterator[Span]:
    start = _start(match)
    value = match["bare"].rstrip(".,:") if match["bare"] is not None else match["double"] or match["single"]
    if _is_password(value):
        yield Span(start, start + len(value), name, begin, match.end())


def _start(match: re.Match[str]) -> int:
    return max(match.start(group) for group in ("double", "single", "bare"))


def _is_password(value: str) -> bool:
    if len(value) < 3 or value.startswith(("-", "$")) or (value.isdigit() and len(value) < 6):
        return False  # another option, a variable, a port
    if value.isupper() and value.replace("_", "").isalpha():
        return False  # PASSWORD, DB_PASS: what is to be put in
    return not (is_template(value) or is_default(value) or is_placeholder(value))


def names() -> Iterator[str]:
    """The names of the rules."""
    return (flag.name for flag in FLAGS)
