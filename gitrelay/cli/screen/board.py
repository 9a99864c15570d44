"""What `git relay watch` shows and what its keys do: a list of what runs and of the sessions, or one exchange.

No I/O but questions to `Following`: the verb feeds keys in and draws the lines that come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.calls.following import Following, Running
from gitrelay.cli.screen import conversation, rows, table
from gitrelay.cli.screen.style import paint
from gitrelay.cli.screen.table import Cell, Column, clean, cut
from gitrelay.ground.duration import render
from gitrelay.history.exchange import Exchange
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.state.away import Away

_RUNNING: Final = (
    Column("RUNNING", least=16, tail="/"),
    Column("WHO", rank=4, least=15, tail=" -> "),
    Column("AGE", rank=2, right=True),
    Column("WALL LEFT", rank=3, right=True),
    Column("IDLE LEFT", rank=5, right=True),
    Column("LAST EVENT", rank=1, least=16),
)
_QUESTIONS: Final = (
    Column("WAITS", least=16, tail="/"),
    Column("PEER", rank=2),
    Column("AGE", rank=3, right=True),
    Column("QUESTION", rank=1, least=16),
)
_LIST_KEYS: Final = "up/down move   enter open   q quit"
_ANSWER: Final = "   git relay answer ADDRESS TEXT"
_OPEN_KEYS: Final = "up/down scroll   left/right turn   esc back   q quit"
_NEARLY: Final = 60.0  # seconds left of a limit that are shown as few


class Board:
    """The state of the display. `press` returns False if the person wants to leave."""

    def __init__(self, following: Following, title: str, *, colours: bool) -> None:
        self.following = following
        self.title = clean(title)
        self.colours = colours
        self._picked: Address | None = None  # stays on its row while rows come and go
        self._top = 0  # the first row that is shown
        self._open: Address | None = None
        self._scroll = 0
        self._at_end = False
        self._page = 10
        self._known: tuple[int, list[Address]] = (-1, [])  # what can be opened, as of so many changes
        self._laid_out: tuple[object, list[str]] = (None, [])

    # -- keys -------------------------------------------------------------------------------------

    def press(self, key: str) -> bool:
        if key == "q":
            return False
        if self._open is None:
            self._press_in_list(key)
        else:
            self._press_in_exchange(key)
        return True

    def _press_in_list(self, key: str) -> None:
        items = self._items()
        at = self._index(items)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -self._page, "page-down": self._page, " ": self._page}
        if key in steps:
            at += steps[key]
        elif key in ("home", "g"):
            at = 0
        elif key in ("end", "G"):
            at = len(items) - 1
        at = min(max(0, at), len(items) - 1)
        if items:
            self._picked = items[at]
            if key in ("enter", "right", "l"):
                self._show(items[at])

    def _press_in_exchange(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -self._page, "page-down": self._page, " ": self._page}
        if key in ("escape", "backspace", "h"):
            self._picked, self._open = self._open, None
        elif key in steps:
            self._scroll += steps[key]
            self._at_end = False
        elif key in ("home", "g"):
            self._scroll, self._at_end = 0, False
        elif key in ("end", "G"):
            self._at_end = True
        elif key in ("left", "right", "p", "n"):
            self._turn(-1 if key in ("left", "p") else 1)

    def _show(self, address: Address) -> None:
        self._open, self._scroll = address, 0
        self._at_end = address in self.following.running

    def _turn(self, step: int) -> None:
        assert self._open is not None
        turns = [e.address for e in self.following.exchanges(self._open.session)]
        if self._open in turns:
            self._show(turns[min(max(0, turns.index(self._open) + step), len(turns) - 1)])

    # -- lines ------------------------------------------------------------------------------------

    def lines(self, width: int, height: int, now: float) -> list[str]:
        """Exactly what the screen is to show: at most `height` lines of at most `width` cells."""
        body = height - 3
        self._page = max(1, body - 2)
        running = len(self.following.running)
        away = f", {len(self.following.away)} away" if self.following.away else ""
        counts = f"{running} running{away}, {len(self.following.sessions)} sessions"
        waiting = len(self.following.questions())
        if waiting:
            counts = f"{waiting} question{'s' if waiting > 1 else ''}, {counts}"
        title = cut(self.title, max(1, width - len(counts) - 2))
        if self._open is None:
            shown, keys = self._list(width, body, now), _LIST_KEYS + (_ANSWER if waiting else "")
        else:
            shown, keys = self._exchange(self._open, width, body, now), _OPEN_KEYS
        foot = self.following.fault or keys
        head = cut(f"{title}  {counts}", width)
        return [
            paint(head, "strong", self.colours),
            "",
            *[*shown, *[""] * body][:body],
            paint(cut(clean(foot), width), "bad" if self.following.fault else "faint", self.colours),
        ]

    def _items(self) -> list[Address]:
        """What can be opened, from top to bottom: questions, the running calls, then each session's last exchange."""
        running = self.following.running
        if self._known[0] != self.following.changes:
            if self.following.session is not None:
                others = [e.address for e in reversed(self.following.exchanges(self.following.session))]
            else:
                latest = sorted(self.following.sessions.values(), key=lambda s: (-s.last, s.name))
                others = [_last(s.name, s.turns) for s in latest if s.turns]
            self._known = self.following.changes, others
        others = self._known[1]
        first = [*(e.address for e in self.following.questions()), *running, *self.following.away]
        first = list(dict.fromkeys(first))
        return [*first, *(a for a in others if a not in first)] if first else others

    def _index(self, items: Sequence[Address]) -> int:
        """Where the mark is: at the top until it was moved; then it stays with its exchange, or its session's next."""
        if self._picked in items:
            return items.index(self._picked)
        return next((i for i, a in enumerate(items) if self._picked and a.session == self._picked.session), 0)

    def _list(self, width: int, body: int, now: float) -> list[str]:
        items = self._items()
        if not items:
            return ["nothing has been asked yet"]
        at = self._index(items)
        questions = {e.address: e for e in self.following.questions()}
        room = max(1, body - (5 if questions else 3))  # the heads of two or three tables and the blanks between them
        self._top = min(max(self._top, at - room + 1), at, max(0, len(items) - room))
        window = items[self._top : self._top + room]
        asked = [a for a in window if a in questions]
        away = self.following.away
        running = [a for a in window if (a in self.following.running or a in away) and a not in questions]
        others = [a for a in window if a not in asked and a not in running]
        tables: list[tuple[Sequence[Column], list[list[Cell]], list[Address]]] = [
            (_QUESTIONS, [_of_question(questions[a], now) for a in asked], asked),
            (_RUNNING, [self._at_work(a, now) for a in running], running),
            (*self._others(others, now), others),
        ]
        found: list[str] = []
        for columns, cells, addresses in tables:
            if addresses:
                found += [*([""] if found else []), *self._table(columns, cells, addresses, items[at], width)]
        return found

    def _at_work(self, address: Address, now: float) -> list[Cell]:
        """The row of a call that runs here, or that another machine is to answer."""
        running = self.following.running.get(address)
        return _of_away(self.following.away[address]) if running is None else _of_running(running, now)

    def _others(self, addresses: Sequence[Address], now: float) -> tuple[Sequence[Column], list[list[Cell]]]:
        if self.following.session is not None:
            known = {e.address: e for e in self.following.exchanges(self.following.session)}
            return rows.EXCHANGES, [rows.of_exchange(known[a], now) for a in addresses if a in known]
        return rows.SESSIONS, [rows.of_session(self.following.sessions[a.session], now) for a in addresses]

    def _table(
        self,
        columns: Sequence[Column],
        cells: Sequence[Sequence[Cell]],
        addresses: Sequence[Address],
        picked: Address,
        width: int,
    ) -> list[str]:
        head, *drawn = table.lines(columns, cells, width - 2, colours=self.colours)
        marks = [
            paint("> ", "strong", self.colours) + line if a == picked else "  " + line
            for a, line in zip(addresses, drawn, strict=False)
        ]
        return ["  " + head, *marks]

    def _exchange(self, address: Address, width: int, body: int, now: float) -> list[str]:
        running = self.following.running.get(address)
        text = [*self._conversation(address, width, now)]
        if running is not None:
            state = f"running for {render(now - running.call.started)}{_limits(running, now)}"
            text += ["", paint(cut(state, width), "good", self.colours)]
            text += [cut(clean(line), width) for line in running.lines]
        elif address in self.following.away:
            away = self.following.away[address]
            text += ["", paint(cut(clean(f"at {away.remote}: {away.said}"), width), "waiting", self.colours)]
        most = max(0, len(text) - body)
        self._scroll = most if self._at_end else min(max(0, self._scroll), most)
        return text[self._scroll : self._scroll + body]

    def _conversation(self, address: Address, width: int, now: float) -> list[str]:
        """The exchange laid out; again only when the session has changed or the screen has another width."""
        session = self.following.sessions.get(address.session)
        state = (address, width, session)
        if self._laid_out[0] != state:
            found = self.following.exchange(address)
            lines = [f"{address} is gone"]
            if found is not None:
                lines = list(conversation.lines(found, width, colours=self.colours, now=now))
            self._laid_out = (state, lines)
        return self._laid_out[1]


def _last(session: str, turns: int) -> Address:
    """The address of a session's last exchange, from the number of its turns."""
    first = session if names.is_one_shot(session) else names.turn_id(1)
    return Address(session, first if turns == 1 else names.turn_id(turns))


def _of_question(e: Exchange, now: float) -> list[Cell]:
    asked = e.question.text if e.question else ""
    age = render(max(0.0, now - e.response.time)) if e.response else ""
    return [(str(e.address), "name"), (e.to, ""), (age, "faint"), (asked, "waiting")]


def _of_running(r: Running, now: float) -> list[Cell]:
    def left(seconds: float | None) -> Cell:
        if seconds is None:
            return "-", "faint"
        return render(max(0.0, seconds)), "bad" if seconds < _NEARLY else ""

    return [
        (str(r.call.address), "name"),
        (f"{r.call.from_} -> {r.call.to}", ""),
        (render(max(0.0, now - r.call.started)), ""),
        left(r.wall_left(now)),
        left(r.idle_left(now)),
        (r.lines[-1] if r.lines else "", ""),
    ]


def _of_away(a: Away) -> list[Cell]:
    blank = ("-", "faint")
    return [(str(a.address), "name"), (f"{a.peer} at {a.remote}", ""), blank, blank, blank, (a.said, "")]


def _limits(r: Running, now: float) -> str:
    """`, 59m left, 20m of silence left`, as far as there are limits."""
    wall, idle = r.wall_left(now), r.idle_left(now)
    words = f", {render(max(0.0, wall))} left" if wall is not None else ""
    return words + (f", {render(max(0.0, idle))} of silence left" if idle is not None else "")
