"""The page of open questions, and the answers that are sent from it: only if the site was started to take them.

A form is taken only from this page: by POST, with the secret of the address, the Origin of this server, and a second
secret that only the page has. The answer itself is given by `git relay answer`, in a process of its own.
"""

from __future__ import annotations

import hmac
import html
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from gitrelay.history.exchange import Exchange
from gitrelay.history.questions import waiting
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.report import pages

PAGE: Final = "questions.html"
BODY_MAX: Final = 64 * 1024  # bytes of a form
_LIMIT: Final = 60.0  # seconds to record the answer in
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "article{border:1px solid #8888;border-radius:6px;padding:1rem;margin:1rem 0}"
    "textarea{width:100%;box-sizing:border-box}button{font:inherit;margin:.3rem .3rem 0 0}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8cf}}"
)


class Desk:
    """Shows the questions of a ledger and takes answers, from the working tree at `place`."""

    def __init__(self, ledger: Ledger, place: Path) -> None:
        self._ledger, self._place = ledger, place
        self._secret = secrets.token_urlsafe(24)

    @property
    def policy(self) -> str:
        return pages.policy((_STYLE,), (), live=False).replace("form-action 'none'", "form-action 'self'")

    def page(self, said: str = "") -> str:
        """The open questions, the latest first; `said` is told above them."""
        found = waiting(self._ledger)
        articles = "".join(map(self._article, found)) or "<p>No question waits for an answer.</p>"
        told = f"<p role=status>{html.escape(said)}</p>" if said else ""
        return (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Questions</title>"
            "<meta name=viewport content='width=device-width'>"
            f"<style>{_STYLE}</style><main><h1>Questions</h1>"
            f"<p><a href=index.html>All sessions</a></p>{told}{articles}</main>"
        )

    def _article(self, e: Exchange) -> str:
        asked = e.question
        assert asked is not None
        address = html.escape(str(e.address))
        hidden = (
            f"<input type=hidden name=csrf value='{self._secret}'><input type=hidden name=address value='{address}'>"
        )
        options = "".join(
            f"<button name=option value={i}>{html.escape(option)}</button>" for i, option in enumerate(asked.options, 1)
        )
        session = html.escape(e.address.session)
        return (
            f"<article><h2><a href='sessions/{session}.html'>{address}</a>: {html.escape(e.to)} asks</h2>"
            f"<p>{html.escape(asked.text)}</p><form method=post action='{PAGE}'>{hidden}{options}</form>"
            f"<form method=post action='{PAGE}'>{hidden}<textarea name=text rows=3 required aria-label=Answer>"
            "</textarea><button>Answer</button></form></article>"
        )

    def take(self, headers: Mapping[str, str], hosts: list[str], body: bytes) -> tuple[bool, str]:
        """(whether the form was one of this page, what came of it in words). `headers` have names such as `Origin`."""
        if headers.get("Origin", "") not in [f"http://{host}" for host in hosts]:
            return False, "not from this site"
        if headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            return False, "no form of this site"
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=8)
        given = {name: values[-1] for name, values in fields.items()}
        if not hmac.compare_digest(given.get("csrf", "").encode(), self._secret.encode()):
            return False, "no form of this site, or the site was started again: load the page again"
        address, option, text = given.get("address", ""), given.get("option", ""), given.get("text", "")
        if not names.is_address(address):
            return False, "no address"
        if option:
            words = ["--option", option, "--", address] if option.isascii() and option.isdecimal() else []
        else:
            words = ["--", address, text.replace("\r\n", "\n")] if text.strip() and "\0" not in text else []
        return True, self._answer(words) if words else "The answer is empty."

    def _answer(self, words: list[str]) -> str:
        argv = [sys.executable, "-P", "-m", "gitrelay", "answer", "-d", *words]
        try:
            done = subprocess.run(
                argv, cwd=self._place, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            return f"It could not be answered: {type(e).__name__}."
        said = (done.stdout if done.returncode == 0 else done.stderr).decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else ""
        return f"Answered: {last} is at work." if done.returncode == 0 else f"Not answered: {last}"
