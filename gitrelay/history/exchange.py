"""An exchange as a value: a request, its response, its checks. No I/O."""

from __future__ import annotations

from dataclasses import field

from gitrelay.errors import OK, PENDING, VERIFY_FAILED, IntegrityError, exit_code_of
from gitrelay.ground.value import dataclass
from gitrelay.history.outcome import outcome_of
from gitrelay.protocol import check, names, question
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Response, parse_response, response_file
from gitrelay.protocol.names import Address
from gitrelay.protocol.question import Question
from gitrelay.protocol.record import Commit, Trailer


@dataclass(frozen=True)
class Check:
    """One recorded check of an exchange. `word` is `pass`, `fail (exit 1)`, `timeout` or `lost`."""

    command: str
    word: str
    commit: Commit


@dataclass(frozen=True)
class Apply:
    """One time that an exchange was applied. `word` is `applied` or `conflict`; `onto` the tree that it came to."""

    word: str
    onto: str
    commit: Commit


@dataclass(frozen=True)
class Exchange:
    """A request and, once it is there, its response. `request_data`, `response_data` are filled where asked for."""

    address: Address
    request: Commit
    response: Commit | None
    request_data: bytes = b""
    response_data: bytes = b""
    rev: str = field(default="", repr=False)
    checks: tuple[Check, ...] = ()
    applies: tuple[Apply, ...] = ()

    @property
    def from_(self) -> str:
        return self.request.from_ or ""

    @property
    def to(self) -> str:
        return self.request.to or ""

    @property
    def status(self) -> str:
        return (self.response.status or "error") if self.response else "pending"

    @property
    def verify(self) -> str | None:
        return (self.response.verify or "skip") if self.response else None

    @property
    def reason(self) -> str | None:
        return self.response.reason if self.response else None

    @property
    def shared(self) -> tuple[str, ...]:
        """The addresses of calls that could write in the same working tree while this one ran."""
        if self.response is None:
            return ()
        words = (self.response.shared or "").split()
        return tuple(word for word in words if names.is_address(word))

    @property
    def asks_back(self) -> bool:
        """Whether the peer's answer is a question."""
        return self.status == "error" and self.reason == question.NEEDS_INPUT

    @property
    def question(self) -> Question | None:
        """What the peer asks back, None if it asks nothing; it needs the bodies. Raises what `answer` raises."""
        answer = self.answer if self.asks_back and self.response_data else None
        return None if answer is None else question.in_body(answer.body)

    @property
    def recorded(self) -> str | None:
        return (self.response.recorded or "gitrelay") if self.response else None

    @property
    def checked(self) -> bool:
        """Whether gitrelay ran a check of its own on the answer, whatever it came to."""
        return bool(self.checks)

    @property
    def outcome(self) -> str:
        """How it ended: see `history.outcome`."""
        return outcome_of(
            self.status, self.verify, self.reason, checked=self.checked, check_failed=bool(self.failed_checks)
        )

    @property
    def exit_code(self) -> int:
        if self.response is None:
            return PENDING
        code = exit_code_of(self.status, self.verify or "skip", self.reason, self.recorded or "")
        return VERIFY_FAILED if code == OK and (self.failed_checks or self.failed_at_worker) else code

    @property
    def worker_checks(self) -> tuple[tuple[str, str], ...]:
        """(command, how it ended) of the checks that were asked of a worker, as it says: nobody here saw them.

        None of these counts as a check that gitrelay ran.
        """
        asked = self.request.trailers.get(Trailer.REMOTE_CHECKS, "")
        if not asked or self.response is None or self.status != "done":
            return ()
        return check.told(asked, self.response.trailers.get(Trailer.WORKER_CHECKS, ""))

    @property
    def failed_at_worker(self) -> list[tuple[str, str]]:
        """Those of them of which the worker does not say that they passed."""
        return [one for one in self.worker_checks if one[1] != "pass"]

    @property
    def failed_checks(self) -> list[Check]:
        """The checks whose last run did not pass."""
        last = {one.command: one for one in self.checks}
        return [one for one in last.values() if one.word != "pass"]

    @property
    def answer(self) -> Response | None:
        """The response file, parsed. Raises IntegrityError if what is recorded is not a response."""
        if self.response is None:
            return None
        try:
            return parse_response(self.response_data)
        except BadMessage as e:
            raise IntegrityError(f"{self.address}: {response_file(self.address.id)}: {e}") from e
