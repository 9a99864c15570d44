"""Secrets out of text, before any of it becomes a git object or a log. Pure, no I/O.

What is found, in this order, so that a span that two rules claim has the more telling name: private keys; what a
provider's own prefix gives away (`_PROVIDERS`, one table); credentials in URLs and headers; the user's patterns;
the value of a name that says `password`, `token`, `secret` or the like. Nothing is guessed from entropy: an object
id, a UUID, a hash or a lock-file line has no name and no prefix that speaks against it, and stays.

Invariants: what was redacted once is not redacted again; lines stay lines, except inside a private key; the work
is linear in the text, whatever it holds (every rule is entered through a literal, and looks a bounded way ahead).
Nothing is compiled before it is needed.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import functools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_KEY_MAX: Final = 64 * 1024  # characters of a private key; one of 16,384 bits has 12,700
_VALUE_MAX: Final = 4096  # characters of a quoted value
_BARE_MAX: Final = 512  # characters of a value without quotes
_NAME_MAX: Final = 64  # characters of a name that are looked at
_HOLD: Final = 256 * 1024  # characters of a line without an end that a stream keeps
OVERLAP: Final = 16 * 1024  # of them, those that stay back when it has to let go; no secret of one line is longer
_ROUNDS: Final = 4  # times to look again at a text in which something was found


class BadPattern(ValueError):
    """A user's pattern that is not a regular expression; `pattern` is it, `why` is one line."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"{pattern!r}: {why}")
        self.pattern = pattern
        self.why = why


class Span(NamedTuple):
    """What is redacted, `text[start:end]`, and by which rule; `begin` is where the words that gave it away begin."""

    start: int
    end: int
    rule: str
    begin: int


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and how many spans each rule has replaced."""

    text: str
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Redactor:
    """The built-in rules and the user's own `patterns` (rule `custom`). Raises BadPattern.

    A pattern with a group named `secret` redacts that group, any other its whole match.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._custom = [_custom(pattern) for pattern in patterns]

    @property
    def has_patterns(self) -> bool:
        """Whether there are patterns of the user's."""
        return bool(self._custom)

    def redact(self, text: str) -> Redacted:
        """`text` with `[redacted:<rule>]` in the place of every secret."""
        counts: Counter[str] = Counter()
        for _ in range(_ROUNDS):  # what stood beside a secret may be seen as one only without it
            spans = self.find(text)
            if not spans:
                break
            parts: list[str] = []
            at = 0
            for span in spans:
                parts += (text[at : span.start], f"[redacted:{span.rule}]")
                at = span.end
                counts[span.rule] += 1
            text = "".join((*parts, text[at:]))
        return Redacted(text, dict(counts))

    def find(self, text: str) -> list[Span]:
        """The spans to redact, in order; none overlaps another or an earlier redaction."""
        spans = [*_private_keys(text), *_prefixed(text), *self._of_user(text), *_named(text)]
        if not spans:
            return []
        order = {span: number for number, span in reversed(list(enumerate(spans)))}
        merged: list[Span] = []
        for span in sorted(spans):
            last = merged[-1] if merged else None
            if last is None or span.start >= last.end:
                merged.append(span)
                continue
            union = last._replace(end=max(last.end, span.end), begin=min(last.begin, span.begin))
            rank = order.get(last, 0)
            if order[span] < rank:
                union = union._replace(rule=span.rule)
            order[union] = min(rank, order[span])
            merged[-1] = union
        return list(_without_marks(text, merged))

    def ending(self, data: bytes, limit: int) -> tuple[bytes, int]:
        """(the last `limit` bytes of `data`, redacted, how many before them were cut off); no secret is cut in two."""
        text = data.decode("utf-8", "surrogateescape")
        cut = len(data[:-limit].decode("utf-8", "surrogateescape")) if len(data) > limit else 0
        if cut:
            cut = next((span.end for span in self.find(text) if span.start < cut < span.end), cut)
        kept = text[cut:].encode("utf-8", "surrogateescape")
        return self.redact(text[cut:]).text.encode("utf-8", "surrogateescape"), len(data) - len(kept)

    def stream(self) -> Stream:
        """Redaction of bytes that come in pieces."""
        return Stream(self)

    def _of_user(self, text: str) -> Iterator[Span]:
        for pattern in self._custom:
            group = "secret" if "secret" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                start, end = match.span(group)
                if start < end:
                    yield Span(start, end, CUSTOM, match.start())


class Stream:
    """Bytes in, redacted bytes out: whole lines at once, so that no secret is cut in two by a chunk's end.

    What is held back: the line without an end, and a private key without an end.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parts: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """What may be written now that `data` has come."""
        text = self._decoder.decode(data)
        self._parts.append(text)
        self._size += len(text)
        if "\n" not in text and self._size < _HOLD:
            return b""
        text = "".join(self._parts)
        cut = self._cut(text)
        self._keep(text[cut:])
        return self._redacted(text[:cut])

    def close(self) -> bytes:
        """What was still held back."""
        text = "".join(self._parts) + self._decoder.decode(b"", final=True)
        self._keep("")
        return self._redacted(text)

    def held(self) -> bytes:
        """What is held back now, redacted; it stays held."""
        return self._redacted("".join(self._parts))

    def _keep(self, text: str) -> None:
        self._parts = [text]
        self._size = len(text)

    def _redacted(self, text: str) -> bytes:
        return self._redactor.redact(text).text.encode("utf-8", "surrogateescape") if text else b""

    def _cut(self, text: str) -> int:
        """Where `text` can be parted: behind a line, or, in one that is too long, where nothing is found."""
        cut = text.rfind("\n") + 1
        opened = _open_key(text[:cut])
        if opened is not None:
            cut = text.rfind("\n", 0, opened) + 1
        if len(text) - cut < _HOLD:
            return cut
        cut = len(text) - OVERLAP
        for span in self._redactor.find(text):
            if span.begin < cut < span.end:
                cut = span.begin or span.end
        return cut


CUSTOM: Final = "custom"
_MARK = r"\[redacted:([a-z0-9-]{1,40})\]"


@functools.cache
def rules() -> frozenset[str]:
    """The names of all rules."""
    return frozenset({"private-key", "password", "secret", CUSTOM, *(rule.name for rule in _PROVIDERS)})


def _custom(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": it means what it has always meant
            return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as e:
        raise BadPattern(pattern, str(e)) from None


def _without_marks(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """The spans less what stands redacted already; a name that is no rule's marks nothing."""
    if "[redacted:" not in text:
        yield from spans
        return
    marks = [m.span() for m in re.finditer(_MARK, text) if m[1] in rules()]
    at = 0
    for span in spans:
        while at < len(marks) and marks[at][1] <= span.start:
            at += 1
        start = span.start
        for low, high in _overlapping(marks, at, span.end):
            if start < low:
                yield span._replace(start=start, end=low)
            start = max(start, high)
        if start < span.end:
            yield span._replace(start=start)


def _overlapping(marks: Sequence[tuple[int, int]], at: int, end: int) -> Iterator[tuple[int, int]]:
    while at < len(marks) and marks[at][0] < end:
        yield marks[at]
        at += 1


# -- what gives itself away by its own form --------------------------------------------------------


class _Rule(NamedTuple):
    """A secret that begins with one of `prefixes` and goes on as `rest`; of a group `s`, only that is redacted.

    `back`: characters before the prefix that belong to it. `loose`: anything may stand to the left. `apart`: there
    may be blanks or quotes between prefix and secret, or it is short; all others are one run (`_run`).
    """

    name: str
    prefixes: tuple[str, ...]
    rest: str
    back: int = 0
    loose: bool = False
    apart: bool = False
    check: Callable[[re.Match[str]], bool] | None = None


def _not_made_up(match: re.Match[str]) -> bool:
    return not _is_placeholder(_secret_of(match))


def _mixed(match: re.Match[str]) -> bool:
    """Letters and digits, as a random string has and a word has not."""
    value = _secret_of(match)
    return bool(re.search("[0-9]", value) and re.search("[A-Za-z]", value)) and not _is_placeholder(value)


def _is_basic(match: re.Match[str]) -> bool:
    """Whether it is `user:password` in base64, as in `Authorization: Basic ...`."""
    value = match["s"]
    with_padding = value + "=" * (-len(value) % 4)
    try:
        decoded = base64.b64decode(with_padding, validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    _, colon, password = decoded.partition(":")
    return bool(colon and password and decoded.isprintable()) and not _is_default(password)


def _is_url_password(match: re.Match[str]) -> bool:
    value = match["s"]
    if len(value) < 3 or value.isdigit() or value.startswith("pserver:"):
        return False
    return not (_is_template(value) or _is_default(value) or _is_placeholder(value))


def _after_curl(match: re.Match[str]) -> bool:
    line = match.string[max(0, match.start() - 1000) : match.start()].rpartition("\n")[2]
    value = match["s"]
    return "curl" in line and not (_is_template(value) or _is_default(value) or _is_placeholder(value))


def _in_cookie(match: re.Match[str]) -> bool:
    line = match.string[max(0, match.start() - 1000) : match.start()].rpartition("\n")[2]
    return "ookie:" in line and _mixed(match)


def _not_a_word(match: re.Match[str]) -> bool:
    value = match["s"]
    if _is_template(value) or _is_placeholder(value) or value.startswith("AWS4-HMAC-"):
        return False
    return re.search(r"[0-9=+]", value) is not None


_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# The one table. A prefix is compared as it stands; lengths are the shortest seen in the provider's documents or in
# the rules of gitleaks, trufflehog and detect-secrets, and open at the end where the provider's own are.
_PROVIDERS: Final = (
    _Rule("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"), "[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _Rule("aws-signature", ("X-Amz-Signature=",), "(?P<s>[0-9a-f]{64})", loose=True),
    _Rule("aws-signature", ("X-Amz-Security-Token=",), "(?P<s>[A-Za-z0-9%+/=_-]{40,4096})", loose=True),
    _Rule("azure-secret", ("Q~",), r"(?<=[\w~.]{3}[0-9]Q~)[\w~.-]{31,34}(?![\w~-])", back=4, loose=True),
    _Rule("azure-sas", ("&sig=", "?sig=", ";sig="), "(?P<s>[A-Za-z0-9%+/]{40,}=?)", loose=True),
    _Rule("google-api-key", ("AIza",), r"[\w-]{35}(?![\w-])"),
    _Rule("google-oauth", ("GOCSPX-",), r"[\w-]{20,255}"),
    _Rule("google-oauth", ("ya29.",), r"[\w-]{20,2048}"),
    _Rule("google-oauth", ("1//0",), r"[\w-]{30,255}", check=_mixed),
    _Rule("firebase-key", (":APA91b",), r"[\w-]{80,255}", loose=True),
    _Rule("alibaba-key", ("LTAI",), "[A-Za-z0-9]{16,24}(?![A-Za-z0-9+/=_-])", check=_mixed),
    _Rule("tencent-key", ("AKID",), "[A-Za-z0-9]{32}(?![A-Za-z0-9+/=_-])", check=_mixed),
    _Rule("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{40,}"),
    _Rule("heroku-key", ("HRKU-",), r"[\w-]{30,255}"),
    _Rule("flyio-token", ("fo1_", "fm2_", "fm1r_", "fm1a_"), r"[\w+/-]{40,2048}={0,2}", check=_mixed),
    _Rule("netlify-token", ("nfp_",), "[A-Za-z0-9]{30,255}"),
    _Rule("supabase-key", ("sbp_", "sb_secret_"), r"[\w-]{30,255}", check=_mixed),
    _Rule("planetscale-token", ("pscale_tkn_", "pscale_pw_", "pscale_oauth_"), r"[\w.-]{30,255}"),
    _Rule("databricks-token", ("dapi",), "[0-9a-f]{32}(?![A-Za-z0-9])"),
    _Rule("vault-token", ("hvs.", "hvb.", "hvr."), r"[\w-]{20,255}", check=_mixed),
    _Rule("terraform-token", (".atlasv1.",), r"(?<=[A-Za-z0-9]{14}\.atlasv1\.)[\w-]{50,255}", back=14, loose=True),
    _Rule("pulumi-token", ("pul-",), "[0-9a-f]{40}(?![A-Za-z0-9])"),
    _Rule("doppler-token", ("dp.pt.", "dp.st.", "dp.ct.", "dp.sa."), r"[\w.-]{40,255}"),
    _Rule("onepassword-token", ("ops_eyJ",), r"[\w+/-]{100,4096}"),
    _Rule("tailscale-key", ("tskey-",), r"(?:auth|api|client|scim|webhook)-[\w-]{10,255}", check=_mixed),
    _Rule("age-key", ("AGE-SECRET-KEY-1",), "[A-Z0-9]{50,64}"),
    _Rule("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{30,255}"),
    _Rule("github-token", ("github_pat_",), r"\w{40,255}"),
    _Rule(
        "gitlab-token",
        (
            *("glpat-", "gldt-", "glrt-", "glrtr-", "glsoat-", "glptt-", "glft-", "glcbt-", "glimt-", "glagent-"),
            *("gloas-", "glffct-", "GR1348941"),
        ),
        r"[\w-]{20,255}(?:\.[\w-]{2,64}){0,3}",
    ),
    _Rule("bitbucket-token", ("ATBB",), "[A-Za-z0-9]{24,40}(?![A-Za-z0-9+/=_-])", check=_mixed),
    _Rule("atlassian-token", ("ATATT3", "ATCTT3", "ATSTT3"), r"[\w=-]{40,512}"),
    _Rule("npm-token", ("npm_",), "[A-Za-z0-9]{36,255}"),
    _Rule("pypi-token", ("pypi-AgE",), r"[\w-]{40,512}"),
    _Rule("rubygems-key", ("rubygems_",), "[0-9a-f]{40,64}"),
    _Rule("crates-token", ("cio",), "[A-Za-z0-9]{32}(?![A-Za-z0-9+/=_-])", check=_mixed),
    _Rule("docker-token", ("dckr_pat_", "dckr_oat_"), r"[\w-]{20,255}"),
    _Rule("jfrog-key", ("AKCp",), "[A-Za-z0-9]{60,80}(?![A-Za-z0-9+/=_-])"),
    _Rule("jfrog-key", ("cmVmdGtu",), "[A-Za-z0-9]{50,60}(?![A-Za-z0-9+/=_-])"),
    _Rule("circleci-token", ("CCIPAT_", "CCIPRJ_"), r"\w{40,255}"),
    _Rule("buildkite-token", ("bkua_", "bkct_", "bkaj_"), "[A-Za-z0-9]{30,255}"),
    _Rule("sourcegraph-token", ("sgp_",), "(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    _Rule("sentry-token", ("sntrys_", "sntryu_"), r"[\w+/=-]{40,512}"),
    _Rule("grafana-token", ("glsa_", "glc_"), r"[\w+/]{30,512}={0,2}", check=_mixed),
    _Rule("newrelic-key", ("NRAK-", "NRII-", "NRJS-", "NRSP-", "NRRA-"), "[A-Za-z0-9-]{19,64}", check=_mixed),
    _Rule("dynatrace-token", ("dt0c01.", "dt0s01.", "dt0s08."), r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}"),
    _Rule("slack-token", ("xoxb-", "xoxp-", "xoxa-", "xoxs-", "xoxr-", "xoxo-", "xoxe-", "xoxe.", "xoxc-", "xoxd-"),
          r"[A-Za-z0-9%.-]{10,512}", check=_mixed),
    _Rule("slack-token", ("xapp-",), "[0-9]-[A-Z0-9]{6,}-[0-9]{6,}-[a-z0-9]{16,}"),
    _Rule("slack-webhook", ("hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/"),
          "(?P<s>[A-Za-z0-9_/+]{20,255})", loose=True, check=_mixed),
    _Rule("discord-webhook", ("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
          r"(?P<s>[0-9]{15,22}/[\w-]{40,255})", loose=True),
    _Rule("discord-token", ("M", "N", "O"), r"[A-Za-z0-9]{23,27}\.[\w-]{6}\.[\w-]{27,45}(?![\w.-])", check=_mixed),
    _Rule("teams-webhook", ("webhook.office.com/webhookb2/",), r"(?P<s>[\w@/-]{40,512})", loose=True),
    _Rule("telegram-token", (":AA",), r"(?<=[0-9]{8}:AA)[\w-]{31,34}(?![\w-])", loose=True),
    _Rule("twilio-key", ("SK",), "[0-9a-f]{32}(?![A-Za-z0-9])"),
    _Rule("sendgrid-key", ("SG.",), r"[\w-]{16,32}\.[\w-]{32,64}"),
    _Rule("mailchimp-key", ("-us",), "(?<=[0-9a-f]{32}-us)[0-9]{1,2}(?![A-Za-z0-9])", back=32, loose=True),
    _Rule("brevo-key", ("xkeysib-", "xsmtpsib-"), "[0-9a-f]{40,64}-[A-Za-z0-9]{16}"),
    _Rule("stripe-key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_"), "[A-Za-z0-9]{16,255}"),
    _Rule("stripe-key", ("whsec_",), "[A-Za-z0-9+/]{24,255}={0,2}", check=_mixed),
    _Rule("square-token", ("sq0atp-", "sq0csp-"), r"[\w-]{20,64}"),
    _Rule("shopify-token", ("shpat_", "shpca_", "shppa_", "shpss_", "shptka_"), "[0-9a-fA-F]{32}"),
    _Rule("plaid-token", ("access-sandbox-", "access-development-", "access-production-"), _UUID),
    _Rule("easypost-key", ("EZAK", "EZTK"), "[A-Za-z0-9]{54}(?![A-Za-z0-9+/=_-])"),
    _Rule("shippo-token", ("shippo_live_", "shippo_test_"), "[0-9a-f]{40}"),
    _Rule("anthropic-key", ("sk-ant-",), r"[\w-]{20,255}"),
    _Rule("openrouter-key", ("sk-or-",), r"[\w-]{32,255}", check=_mixed),
    _Rule("openai-key", ("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"), r"[\w-]{20,255}", check=_mixed),
    _Rule("openai-key", ("sk-",), "[A-Za-z0-9]{32,64}(?![A-Za-z0-9_-])", check=_mixed),
    _Rule("langfuse-key", ("sk-lf-",), _UUID),
    _Rule("huggingface-token", ("hf_",), "[A-Za-z0-9]{30,64}(?![A-Za-z0-9_])"),
    _Rule("replicate-token", ("r8_",), "[A-Za-z0-9]{37}(?![A-Za-z0-9_])"),
    _Rule("groq-key", ("gsk_",), "[A-Za-z0-9]{40,64}"),
    _Rule("xai-key", ("xai-",), "[A-Za-z0-9]{60,128}"),
    _Rule("perplexity-key", ("pplx-",), "[A-Za-z0-9]{40,64}"),
    _Rule("linear-key", ("lin_api_", "lin_oauth_"), "[A-Za-z0-9]{32,64}"),
    _Rule("notion-token", ("ntn_",), "[A-Za-z0-9]{40,64}"),
    _Rule("notion-token", ("secret_",), "[A-Za-z0-9]{43}(?![A-Za-z0-9_])", check=_mixed),
    _Rule("airtable-token", ("pat",), r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _Rule("figma-token", ("figd_", "figo_", "figor_"), r"[\w-]{30,64}"),
    _Rule("postman-key", ("PMAK-",), "[0-9a-f]{24}-[0-9a-f]{34}"),
    _Rule("dropbox-token", ("sl.",), r"(?:u\.)?[\w-]{100,2048}"),
    _Rule("contentful-token", ("CFPAT-",), r"[\w-]{40,64}"),
    _Rule("mapbox-token", ("sk.eyJ",), r"[\w-]{20,255}\.[\w-]{20,64}"),
    _Rule(
        "jwt",
        ("eyJ",),
        r"[\w-]{10,8192}+\.(?:eyJ[\w-]{8,8192}+\.[\w-]{10,8192}+"
        r"|[\w-]{20,8192}+\.[\w-]{10,8192}+\.[\w-]{20,8192}+\.[\w-]{10,8192}+)",
    ),
    _Rule("url-password", ("://",), r"[^\s:/?#@\"'`<>\[\]\\,;|(){}]{0,128}:(?P<s>[^\s/\"'`<>\\,;|()]{1,256})@",
          loose=True, apart=True, check=_is_url_password),
    _Rule("url-password", ("://",), r"(?P<s>[\w-]{20,255})@", loose=True, apart=True, check=_mixed),
    _Rule("authorization", ("earer ", "EARER "), r"(?P<s>[\w.~+/-]{16,8192}={0,2})",
          loose=True, apart=True, check=_not_a_word),
    _Rule("authorization", ("asic ", "ASIC "), "(?P<s>[A-Za-z0-9+/]{8,512}={0,2})",
          loose=True, apart=True, check=_is_basic),
    _Rule("authorization", ("uthorization", "UTHORIZATION"),
          r"\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?(?:[A-Za-z-]{2,16} {1,4})?"
          r"(?P<s>[\w.~+/:-]{16,4096}+={0,2}+)(?![(\[])",
          loose=True, apart=True, check=_not_a_word),
    _Rule("basic-auth", ("_auth=", "_auth = ", '"auth": "', '"auth":"', '\\"auth\\": \\"', '\\"auth\\":\\"'),
          "(?P<s>[A-Za-z0-9+/]{8,512}={0,2})", loose=True, apart=True, check=_is_basic),
    _Rule("curl-user", (" -u ", " -u", " --user ", " --user="),
          r"[\"']?[^\s:\"'/]{1,64}:(?P<s>[^\s\"']{3,128})", loose=True, apart=True, check=_after_curl),
    _Rule("netrc-password", (" login ", "\tlogin ", "\nlogin "),
          r"[^\s]{1,128}\s{1,8}password\s{1,4}(?P<s>[^\s]{4,128})", loose=True, apart=True, check=_is_url_password),
    _Rule("session-cookie",
          ("PHPSESSID=", "JSESSIONID=", "connect.sid=", "laravel_session=", "ASP.NET_SessionId=", "_gitlab_session=",
           "user_session="),
          r"(?P<s>[\w%.+/=-]{16,4096})", loose=True, check=_mixed),
    _Rule("session-cookie", ("session=", "sess=", "sid=", "SID="), r"(?P<s>[\w%.+/=-]{20,4096})",
          loose=True, check=_in_cookie),
)  # fmt: skip


def _secret_of(match: re.Match[str]) -> str:
    return match["s"] if "s" in match.re.groupindex else match[0]


@functools.cache
def _compiled(prefix: str, rule: _Rule) -> re.Pattern[str]:
    """The rule for one prefix. What must not stand to the left is said behind the prefix: so the search is for
    a literal, which `re` does fast."""
    literal = re.escape(prefix)
    if rule.loose:
        return re.compile(literal + rule.rest, re.ASCII)
    # a run of letters and digits is entered at its beginning only; but there are escapes that end in one:
    # \n in JSON, %3D in a URL, a colour on a terminal
    letters = "A-Za-z0-9_-" if rule.name == "jwt" else "A-Za-z0-9"
    before = "|".join(
        (
            rf"(?<![{letters}]{literal})",
            *(rf"(?<={one}{literal})" for one in (r"\\[nrtbf]", "%[0-9A-F]{2}", r"\[[0-9]m", "[0-9;][0-9]m")),
        )
    )
    return re.compile(f"{literal}(?:{before}){rule.rest}", re.ASCII)


@functools.cache
def _run() -> re.Pattern[str]:
    """A run of at least 15 characters, behind any number of shorter ones; at the end of the text, what is left."""
    apart = r"\s\"'`<>(){},;"
    return re.compile(rf"(?:[^{apart}]{{0,14}}+[{apart}]++)*+([^{apart}]{{15,}}+|[^{apart}]*+\Z)")


def _prefixed(text: str) -> Iterator[Span]:
    runs = "\n".join(_run().findall(text))  # a tenth of a text, and 170 prefixes are looked for in it
    for rule in _PROVIDERS:
        check = rule.check or _not_made_up
        for prefix in rule.prefixes:
            if prefix not in (text if rule.apart else runs):
                continue
            for match in _compiled(prefix, rule).finditer(text):
                if check(match):
                    start, end = match.span("s") if "s" in match.re.groupindex else match.span()
                    yield Span(start - rule.back, end, rule.name, match.start() - rule.back)


# -- private keys ----------------------------------------------------------------------------------

_MARKER = (
    r"-{4,5} ?(BEGIN|END) [A-Za-z0-9 ]{0,40}?(?:PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V1) ?-{4,5}"
    r"|Private-Lines: ([0-9]{1,3})"
)
_LINE_END = r"\r?\n|(?:\\+r)?\\+n"  # as it is, or escaped in JSON
_LEAST_KEY: Final = 32  # characters of base64; the mention of a key has none


@functools.cache
def _marker() -> re.Pattern[str]:
    return re.compile(_MARKER)


@functools.cache
def _line_end() -> re.Pattern[str]:
    return re.compile(_LINE_END)


@functools.cache
def _base64() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z0-9+/=_-]+")


def _private_keys(text: str) -> Iterator[Span]:
    """Keys in armour, from BEGIN to END; without one of the two, the lines of it that there are; PuTTY's."""
    if not any(word in text for word in ("PRIVATE KEY", "OpenVPN Static key", "Private-Lines: ")):
        return
    marks = list(_marker().finditer(text))
    done = 0  # where the last key ended
    for i, mark in enumerate(marks):
        if mark.start() < done:
            continue
        limit = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        if mark[1] == "END":
            start = _key_start(text, mark.start(), max(done, marks[i - 1].end() if i else 0))
            if start is not None:
                done = mark.end()
                yield Span(start, done, "private-key", start)
            continue
        size, end, whole = _key_body(text, mark.end(), limit)
        if size < _LEAST_KEY:
            continue
        start = mark.start()
        if mark[2]:  # PuTTY's: the count of lines stays, as the line it is
            line_end = _line_end().match(text, mark.end())
            start = line_end.end() if line_end else mark.end()
        elif whole and i + 1 < len(marks) and marks[i + 1][1] == "END":
            end = marks[i + 1].end()
        done = end
        yield Span(start, end, "private-key", mark.start())


def _key_body(text: str, at: int, limit: int) -> tuple[int, int, bool]:
    """(characters of base64, where the last line of it ends, whether nothing else stands before `limit`)."""
    limit = min(limit, at + _KEY_MAX)
    size, end = 0, at
    while at < limit:
        line_end = _line_end().search(text, at, limit)
        stop = line_end.start() if line_end else limit
        found = _key_line(text[at:stop])
        if found < 0:
            begun = re.compile(r"[ \t]*[A-Za-z0-9+/=]{16,}").match(text, at, stop)  # cut off in the middle of a line
            return (size + begun.end() - at, begun.end(), False) if begun and size else (size, end, False)
        if found:
            size, end = size + found, stop
        at = line_end.end() if line_end else limit
    return size, end, True


def _key_start(text: str, end: int, floor: int) -> int | None:
    """Where the lines of base64 begin that stand before an END without a BEGIN; None for no key."""
    floor = max(floor, end - _KEY_MAX)
    pieces = []
    at = floor
    for match in _line_end().finditer(text, floor, end):
        pieces.append((at, match.start()))
        at = match.end()
    size, start = 0, None
    for low, high in reversed(pieces):
        found = _key_line(text[low:high])
        if found < 16 and (size or found < 0):
            break
        size += found
        start = low + len(text[low:high]) - len(text[low:high].lstrip(" \t"))
    return start if size >= _LEAST_KEY else None


def _key_line(line: str) -> int:
    """How many characters of base64 a line of a key holds; 0 for a blank or a header, -1 for any other line."""
    line = line.strip(" \t\r\"',;|>#*\\+")
    if not line:
        return 0
    if len(line) <= 128 and _base64().fullmatch(line):
        return len(line) if len(line) >= 16 or re.search("[0-9+/=]", line) else -1
    if re.match(r"[A-Z][A-Za-z0-9-]{2,30}: ", line):
        return 0
    words = line.split()
    if len(words) > 1 and len(words[-1]) >= 24 and _base64().fullmatch(words[-1]):
        return len(words[-1])  # behind a log's time stamp, or a line number
    if all(_base64().fullmatch(word) for word in words) and max(map(len, words)) >= _LEAST_KEY:
        return len(line)  # a key in one line
    return -1


def _open_key(text: str) -> int | None:
    """Where a private key begins that `text` ends in the middle of; None where it does not."""
    last = None
    for word in ("BEGIN ", "Private-Lines: "):
        at = text.rfind(word)
        if at >= 0 and len(text) - at < _KEY_MAX:
            for mark in _marker().finditer(text, max(0, at - 6)):
                last = mark if last is None or mark.start() > last.start() else last
    if last is None or last[1] == "END":
        return None
    if last[2]:
        lines = len(_line_end().findall(text, last.end()))
        return last.start() if lines <= int(last[2]) else None
    _, _, whole = _key_body(text, last.end(), len(text))
    return last.start() if whole else None


# -- the value of a name that says what it is ------------------------------------------------------

# what such a name ends in, in lower case; `key` only with a word before it (`_KEYS`)
_WORDS: Final = ("pass", "pwd", "secret", "token", "credential", "key", "psk", "_pw")
_KEYS = (
    r"(?:api|app|access|auth|secret|private|priv|signing|encryption|decryption|encrypt|master|account|storage"
    r"|service|shared|share|client|deploy|deployment|webhook|hmac|jwt|admin|server|root|license|registration"
    r"|security|subscription|shared_?access|aes|ssh|gpg|vault|bot)[ _.-]?key$"
)
_NO_SECRETS = (
    r"public|csrf|xsrf|hash|digest|encrypted|masked|redact|(?:^|[_.-])(?:page|next|prev|previous|continuation|cursor"
    r"|pagination|sync|resume|cancel|cancellation|cancelation|abort|stop|fencing|idempotency|max|min|num|n|total|count"
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
def _no_secrets() -> re.Pattern[str]:
    return re.compile(_NO_SECRETS)


def _named(text: str) -> Iterator[Span]:
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
                        span = _judged(text, lower, at, match, start, stop, quoted)
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


def _judged(text: str, lower: str, at: int, match: re.Match[str], start: int, end: int, quoted: bool) -> Span | None:
    begin = at
    while begin > 0 and at - begin < _NAME_MAX and (text[begin - 1].isalnum() or text[begin - 1] in "_.-"):
        begin -= 1
    name = lower[begin : match.start("close")]
    word = lower[at : match.start()]
    if word == "key" and not _keys().search(lower[max(0, at - 24) : match.start()]):
        return None
    if word == "pass" and not match["word"] and not _begins_a_word(text, at):
        return None
    if _no_secrets().search(name):
        return None
    sep = match["sep"]
    kind = sep.strip()
    if kind == ">" and (begin == 0 or text[begin - 1] not in "</"):
        return None
    if not kind and not name.startswith("--") and not (quoted and match["word"] and text[start - 1] != "`"):
        return None  # a space parts an option from its value, and PASSWORD 'x' in SQL
    if kind in ("is", "was", "to") and word == "pass" and not match["word"]:
        return None
    if kind == "," and not match["close"].strip("]\\"):
        return None
    value = text[start:end]
    tight = sep == "=" and not quoted
    env = tight and (text[begin:at].isupper() or text[at : match.start()].isupper())
    if not quoted:
        after = text[end : end + 1]
        if sep == "=" and after in ("(", "[", "{", "<", "&", "|") and _begins_a_line(text, begin) and env:
            end = _all_of_it().match(text, end, end + _BARE_MAX).end()  # type: ignore[union-attr]
            value = text[start:end]
        elif (after and after in "([{") or (after == "<" and kind != ">"):
            return None  # a call, an index, a type
        value = value.rstrip(".:!?" if kind.strip(": ") in ("is", "was", "to") else ".:" if kind else "")
        end = start + len(value)
    value, start = _without_scheme(value, start)
    style = _Style(
        phrase=quoted and match["word"] is not None and match["word"].lower() == "phrase",
        password=word in ("pass", "pwd", "_pw", "psk"),
        weak=not tight and name.strip("-") in ("token", "tokens", "credential", "credentials"),
        quoted=quoted or kind == ">",
        env=env,
        tight=tight or not kind,
        line=kind == ":" and _is_whole_line(text, begin, end),
        said=kind.strip(":") in ("is", "was", "to"),
        assigned=kind in ("=", ":=", "=="),
    )
    if not _is_secret(value, style):
        return None
    return Span(start, end, "password" if style.password else "secret", begin)


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


class _Style(NamedTuple):
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


def _is_template(value: str) -> bool:
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


def _is_default(value: str) -> bool:
    """A password that a program is shipped with, or that everybody writes where one would stand."""
    return value.lower() in _DEFAULTS


def _is_placeholder(value: str) -> bool:
    """What stands for a secret in documents: xxxx, EXAMPLE, your-key; nothing that has a random part beside it."""
    lowered = value.lower()
    if "example" in lowered or re.search(r"x{5}|\*{3}|0{8}|\.\.\.", lowered):
        return True
    words = _placeholder_word().search(lowered) or re.search(r"(?<![a-z])(?:your|my)[_-]", lowered)
    return words is not None and not re.search(r"(?=[a-z]*[0-9])[a-z0-9+/]{12}", lowered)


@functools.cache
def _hash_like() -> re.Pattern[str]:
    return re.compile(
        rf"{_UUID}|[0-9a-f]{{32}}|[0-9a-f]{{40}}|[0-9a-f]{{56}}|[0-9a-f]{{64}}|[0-9a-f]{{96}}|[0-9a-f]{{128}}"
    )


def _is_secret(value: str, how: _Style) -> bool:
    """Whether the value of a secret-looking name is a secret, and not code, a reference, a word or a placeholder."""
    if (
        len(value) < (6 if how.password or how.env else 8)
        or _is_template(value)
        or _is_default(value)
        or _is_placeholder(value)
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
