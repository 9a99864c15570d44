"""Secrets that are known by their form: tokens with a provider's prefix, credentials in URLs and headers."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from gitrelay.redact.span import Span
from gitrelay.redact.values import UUID, is_default, is_placeholder, is_template

_LINE_MAX: Final = 1000  # characters of a line that are looked at for the word before a secret


class _Rule(NamedTuple):
    """One that begins with one of `prefixes` and continues as `rest`; if `rest` has a group `s`, only that is taken.

    `back`: number of characters before the prefix that belong to it. `loose`: any character may come before the prefix.
    `apart`: there may be blanks or quotes between prefix and secret, or it is short; all others are one run (`_run`).
    `line`: a word that comes before it in the same line.
    """

    name: str
    prefixes: tuple[str, ...]
    rest: str
    back: int = 0
    loose: bool = False
    apart: bool = False
    line: str = ""
    check: Callable[[re.Match[str]], bool] | None = None


def _not_made_up(match: re.Match[str]) -> bool:
    return not is_placeholder(_secret_of(match))


def _mixed(match: re.Match[str]) -> bool:
    """Whether it has letters and digits, as a random string does and a word does not."""
    value = _secret_of(match)
    return bool(re.search("[0-9]", value) and re.search("[A-Za-z]", value)) and not is_placeholder(value)


def _is_basic(match: re.Match[str]) -> bool:
    """Whether it is `user:password` in base64, as in `Authorization: Basic ...`."""
    value = match["s"]
    with_padding = value + "=" * (-len(value) % 4)
    try:
        decoded = base64.b64decode(with_padding, validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    _, colon, password = decoded.partition(":")
    return bool(colon and password and decoded.isprintable()) and not is_default(password)


def _is_url_password(match: re.Match[str]) -> bool:
    value = match["s"]
    if len(value) < 3 or value.isdigit() or value.startswith("pserver:"):
        return False
    return not (is_template(value) or is_default(value) or is_placeholder(value))


def _begin(match: re.Match[str], rule: _Rule) -> int:
    """Where the words begin that give a secret away; -1 if the line does not hold the word that the rule asks for."""
    if not rule.line:
        return match.start() - rule.back
    low = max(0, match.start() - _LINE_MAX)
    low = max(low, match.string.rfind("\n", low, match.start()))
    return match.string.rfind(rule.line, low, match.start())


def _not_a_word(match: re.Match[str]) -> bool:
    value = match["s"]
    if is_template(value) or is_placeholder(value) or value.startswith("AWS4-HMAC-"):
        return False
    return re.search(r"[0-9=+]", value) is not None


# Prefixes are compared letter by letter. Lengths are the shortest seen in the provider's documents or in
# the rules of gitleaks, trufflehog and detect-secrets, and have no upper limit if the provider sets none.
PROVIDERS: Final = (
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
    _Rule("plaid-token", ("access-sandbox-", "access-development-", "access-production-"), UUID),
    _Rule("easypost-key", ("EZAK", "EZTK"), "[A-Za-z0-9]{54}(?![A-Za-z0-9+/=_-])"),
    _Rule("shippo-token", ("shippo_live_", "shippo_test_"), "[0-9a-f]{40}"),
    _Rule("anthropic-key", ("sk-ant-",), r"[\w-]{20,255}"),
    _Rule("openrouter-key", ("sk-or-",), r"[\w-]{32,255}", check=_mixed),
    _Rule("openai-key", ("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"), r"[\w-]{20,255}", check=_mixed),
    _Rule("openai-key", ("sk-",), "[A-Za-z0-9]{32,64}(?![A-Za-z0-9_-])", check=_mixed),
    _Rule("langfuse-key", ("sk-lf-",), UUID),
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
    _Rule("netrc-password", (" login ", "\tlogin ", "\nlogin "),
          r"[^\s]{1,128}\s{1,8}password\s{1,4}(?P<s>[^\s]{4,128})", loose=True, apart=True, check=_is_url_password),
    _Rule("session-cookie",
          ("PHPSESSID=", "JSESSIONID=", "connect.sid=", "laravel_session=", "ASP.NET_SessionId=", "_gitlab_session=",
           "user_session="),
          r"(?P<s>[\w%.+/=-]{16,4096})", loose=True, check=_mixed),
    _Rule("session-cookie", ("session=", "sess=", "sid=", "SID="), r"(?P<s>[\w%.+/=-]{20,4096})",
          loose=True, line="ookie:", check=_mixed),
)  # fmt: skip


def _secret_of(match: re.Match[str]) -> str:
    return match["s"] if "s" in match.re.groupindex else match[0]


@functools.cache
def _compiled(prefix: str, rule: _Rule) -> re.Pattern[str]:
    """The pattern of a rule for one prefix. What must not come before the prefix is checked after it: so the search
    begins with a literal, which `re` does fast."""
    literal = re.escape(prefix)
    if rule.loose:
        return re.compile(literal + rule.rest, re.ASCII)
    # a prefix counts only at the beginning of a run of letters and digits; but some escapes end in a letter or digit:
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


def find(text: str) -> Iterator[Span]:
    runs = "\n".join(_run().findall(text))  # a tenth of a text, and 170 prefixes are looked for in it
    for rule in PROVIDERS:
        check = rule.check or _not_made_up
        for prefix in rule.prefixes:
            if prefix not in (text if rule.apart else runs):
                continue
            for match in _compiled(prefix, rule).finditer(text):
                begin = _begin(match, rule)
                if begin >= 0 and check(match):
                    start, end = match.span("s") if "s" in match.re.groupindex else match.span()
                    yield Span(start - rule.back, end, rule.name, begin, match.end())


def names() -> Iterator[str]:
    """The names of the rules."""
    return (rule.name for rule in PROVIDERS)
