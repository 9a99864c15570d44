"""The pages: values into templates, with the policy under which a browser shows them.

Style and scripts are in the page itself and are named by their hashes, so that a page is whole wherever it
is put, also opened from `file://`; under that policy no other style or script is in force, and nothing is loaded.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from gitrelay import __version__
from gitrelay.ground import duration
from gitrelay.history import outcome
from gitrelay.history.exchange import Exchange
from gitrelay.history.outcome import shown
from gitrelay.protocol import names, usage
from gitrelay.protocol.record import Trailer
from gitrelay.report import attention, commits, listing
from gitrelay.report.diffs import coloured, drawn
from gitrelay.report.files import View
from gitrelay.report.links import Links
from gitrelay.report.listing import Entry
from gitrelay.report.markdown import inline, render
from gitrelay.report.sides import Side
from gitrelay.report.steps import folded
from gitrelay.report.turns import Conversation, Turn
from gitrelay.report.words import one_line, plain

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR: Final = f"gitrelay {__version__}"
_HERE: Final = Path(__file__).parent
_HUES: Final = 6  # colours for agents in style.css
_CHANGE_WORDS: Final = {"A": "added", "D": "deleted", "M": "changed", "T": "changed its type"}

_STATES: Final = {  # outcome -> tone, sign; errors have a look of their own
    outcome.PENDING: ("warn", "…"),
    outcome.PASS: ("good", "✓"),
    outcome.FAIL: ("bad", "✗"),
    outcome.CHECK_FAILED: ("bad", "✗"),
    outcome.UNVERIFIED: ("calm", "\u2013"),
}
CLAIMED: Final = ("claim", "\u25cb")  # a pass that only the peer claims: a ring, and no tick


@dataclass(frozen=True)
class State:
    """The state of a turn, as a badge shows it: a tone of style.css, a sign and words."""

    tone: str
    sign: str
    words: str


def state_of(turn: Turn | Side) -> State:
    return state_of_exchange(turn.exchange, ", claimed pass" if turn.contradicted else "")


def state_of_exchange(e: Exchange, more: str = "") -> State:
    words = one_line(shown(e.outcome, e.checked), 60) + more
    tone, sign = _STATES.get(e.outcome, ("bad", "!"))
    if e.outcome == outcome.PASS and not e.checked:
        tone, sign = CLAIMED
    return State(tone, sign, words)


@dataclass(frozen=True)
class Pages:
    """The pages of one site. `site` is its title; `version` is what a live site is at, empty for a static one.

    `answers` is the page that takes answers to questions, empty if the site has none. `there` are the sessions that
    have a page, `files` the page of each file that has one, by path. `commits` is the template of where a commit can be
    looked at, see commits.py.
    """

    site: str
    version: str = ""
    answers: str = ""
    there: Collection[str] = ()
    commits: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def index(self, entries: Sequence[Entry], running: Collection[str] = (), rejected: Collection[str] = ()) -> str:
        """The page of all sessions, the latest first.

        `running` are the addresses of calls that run here; of the sessions in `rejected` something was not taken.
        """
        needs = attention.each(entries, rejected)
        return self._page(
            "index.html",
            root="",
            entries=entries,
            questions=[e for e in entries if e.question is not None],
            answers=self.answers,
            total=sum(len(e.rows) for e in entries),
            needs=attention.at_work(needs, running),
            rows_json=Markup(listing.rows_json(needs, running)),  # both are safe between script tags
            words_json=Markup(listing.words_json(entries)),
        )

    def session(self, conversation: Conversation) -> str:
        """The page of one session, one folder below the index."""
        return self._conversations([conversation], root="../", alone=False)

    def figures_page(self, exchanges: Sequence[Exchange]) -> str:
        """The figures of these calls, as charts and tables. Days are local ones."""
        from gitrelay.history import figures
        from gitrelay.report import charts

        return self._page(
            "figures.html",
            root="",
            charts=charts,
            sessions=len({e.address.session for e in exchanges}),
            total=figures.figures(exchanges),
            days=figures.grouped(exchanges, "day"),
            peers=figures.grouped(exchanges, "peer"),
            models=figures.grouped(exchanges, "model"),
        )

    def file(self, view: View) -> str:
        """The page of a file: who wrote each line."""
        lines = coloured([line for one in view.stretches for line in one.lines], view.path)
        return self._page("file.html", root="../", view=view, coloured=lines, shown_path=plain(view.path))

    def together(self, conversations: Sequence[Conversation]) -> str:
        """One page that holds some sessions and leads nowhere else."""
        return self._conversations(conversations, root="", alone=True)

    def _conversations(self, conversations: Sequence[Conversation], *, root: str, alone: bool) -> str:
        heading = conversations[0].name if len(conversations) == 1 else self.site
        return self._page(
            "session.html",
            home="#main" if alone else "",
            root=root,
            alone=alone,
            conversations=conversations,
            heading=heading,
        )

    def _page(self, template: str, home: str = "", **values: object) -> str:
        live = bool(self.version)
        return (
            _environment()
            .get_template(template)
            .render(
                site=self.site,
                commits=self.commits,
                generator=GENERATOR,
                there=self.there,
                files=self.files,
                home=home or ("./" if live else "index.html"),
                version=self.version,
                policy=policy_of(template, live=live),
                style=Markup(_style(template)),  # ours, and in the policy by their hashes
                theme_script=Markup(asset("theme.js")),
                script=Markup(_script(template, live=live)),
                **values,
            )
        )


@functools.cache
def policy_of(template: str, *, live: bool) -> str:
    """The policy of every page that is made of `template`."""
    return policy((_style(template),), (asset("theme.js"), _script(template, live=live)), live=live)


def _script(template: str, *, live: bool) -> str:
    page = template.removesuffix(".html")
    files = (
        "copy.js",
        "page.js",
        *(("table.js",) if page == "index" else ()),
        f"{page}.js",
        *(("live.js",) if live else ()),
    )
    return "".join(map(asset, files))


@functools.cache
def _style(template: str) -> str:
    more = {"session.html": ("rounds.css", "diffs.css"), "file.html": ("diffs.css", "file.css")}.get(template, ())
    return "".join(map(asset, ("style.css", "index.css", *more)))


def policy(styles: Sequence[str], scripts: Sequence[str], *, live: bool) -> str:
    """The Content-Security-Policy of a page with these styles and scripts and no others."""
    own = " ".join(map(_source, styles)), " ".join(map(_source, scripts))
    connect = "; connect-src 'self'" if live else ""
    return (
        f"default-src 'none'; style-src {own[0]}; script-src {own[1]}; img-src data:{connect}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "change_word": lambda state: _CHANGE_WORDS.get(state, state),
        "count": _count,
        "drawn": drawn,
        "duration": duration.render,
        "facts": _facts,
        "head": _head,
        "hue": lambda name: zlib.crc32(name.encode("utf-8", "replace")) % _HUES,
        "href": lambda commit, template: commits.href(template, commit),
        "inline": inline,
        "links": lambda turn, anchor: Links(turn.changes, anchor),
        "markdown": render,
        "one_line": one_line,
        "plain": plain,
        "seconds": _seconds,
        "short_id": short_id,
        "state": state_of,
        "outcome": state_of_exchange,
        "steps": folded,
        "time": _time,
        "version": _version,
    }
    return environment


def load() -> None:
    """Compile the templates, so that processes that are forked later need not."""
    for name in ("session.html", "turn.html", "base.html"):
        _environment().get_template(name)


def short_id(id_: str) -> str:
    """A one-shot's own id is its session's name, and says no more than that it is the first."""
    return names.turn_id(1) if names.is_one_shot(id_) else id_


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _time(seconds: int) -> Markup:
    """A time in UTC; a script rewrites it in the reader's own zone."""
    utc = time.gmtime(min(max(seconds, 0), 253402300799))  # the year 9999
    return Markup('<time datetime="{}" data-at="{}">{}</time>').format(
        time.strftime("%Y-%m-%dT%H:%M:%SZ", utc), seconds, time.strftime("%Y-%m-%d %H:%M UTC", utc)
    )


def _seconds(turn: Turn | Side) -> float | None:
    response = turn.exchange.response
    amount = usage.amount(response.duration) if response else None
    return None if amount is None else float(amount)


def _version(turn: Turn) -> str:
    """Changes when something is added to the turn, to one of its attempts, or to the question that it asks."""
    own = _last(turn.exchange)
    after = turn.question.after.request.oid if turn.question and turn.question.after else ""
    steps = "steps" if turn.steps else ""  # they come after the answer
    others = " ".join([after, steps, *(_last(one.exchange) for one in turn.attempts)]).strip()
    return own[:16] + (hashlib.sha256(others.encode()).hexdigest()[:16] if others else "")


def _last(e: Exchange) -> str:
    """The last commit of an exchange."""
    commits = [e.request, *([e.response] if e.response else [])]
    commits += [check.commit for check in e.checks] + [apply.commit for apply in e.applies]
    return max(enumerate(commits), key=lambda one: (one[1].time, one[0]))[1].oid


def _head(turn: Turn | Side) -> str:
    """The commit that was checked out when the turn was asked, empty if there was none."""
    head = turn.exchange.request.trailers.get(Trailer.HEAD, "")
    return head if names.is_object_id(head) else ""


_TRAILERS: Final = (
    (Trailer.MODEL, "model"),
    (Trailer.PEER, "program"),
    (Trailer.SANDBOX, "read access was"),
    (Trailer.DENIED, "tool calls refused"),
    (Trailer.CONTINUATION, "continued by"),
    (Trailer.REDACTED, "redacted"),
)
_USAGE: Final = {"input": "input tokens", "cached": "of them cached", "output": "output tokens", "cost_usd": "cost"}


def _facts(turn: Turn | Side) -> list[tuple[str, str]]:
    """What the trailers say besides the outcome: (label, value)."""
    request = turn.exchange.request.trailers
    response = turn.exchange.response.trailers if turn.exchange.response else {}
    handed = (word.partition("@")[0] for word in (turn.exchange.request.context or "").split())
    facts = [("access", request.get(Trailer.ACCESS, "")), ("handed over", ", ".join(handed))]
    facts += [(label, response.get(key, "")) for key, label in _TRAILERS]
    for key, value in usage.parse(response.get(Trailer.USAGE, "")).items():
        if key in _USAGE:
            facts.append((_USAGE[key], f"${value}" if key == "cost_usd" else f"{int(value):,}"))
    return [(label, plain(value)) for label, value in facts if value]
