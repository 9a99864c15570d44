"""How a call ended: the peer's own answer, or the response that gitrelay writes where it gave none.

A valid reply file wins; then a structured answer after the peer's final event; else there is a typed reason,
and a body that says what happened, shows the evidence and says what to do next. Only this room decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.redaction import redacted_response
from gitrelay.ledger.worktree import SessionWorktree
from gitrelay.peers.base import Answer, Transcript, reason_of_status
from gitrelay.process.values import Ending
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Parties, Response, parse_response, response_file
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Recorded, Status, Verify
from gitrelay.state.calls import Call

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

_STDERR_LINES: Final = 20

# what to do next, by reason; the body of every response that gitrelay has to write says it
_ADVICE: Final = {
    "timeout": "Give it more time (--timeout), or a smaller task.",
    "idle": "Give it a longer --idle-timeout, or look at the log for what it was waiting for.",
    "no-output": "Check that the peer works here ('git relay peers'), then call again.",
    "cancelled": "Call again when it is wanted.",
    "unavailable": "Make sure that the peer is installed and on PATH ('git relay peers' shows what was found) "
    "and that it can reach its service, then call again.",
    "auth": "Log in to the peer's own command line, or give it a key, then call again.",
    "quota": "Wait for the peer's limit to reset, or call another peer.",
    "bad-output": "Call again; the log has all that the peer said.",
    "peer-failed": "Read the log for the peer's own words, then call again.",
    "sandbox": "Look at what has changed (git status); somebody else may have done it. What the peer said is below.",
    "recursion": "Do the work here, or let the outermost caller ask; 'git config relay.maxDepth N' allows more.",
    "lost": "The call may have done part of its work: look at the working tree, then call again.",
}


@dataclass(frozen=True)
class Outcome:
    """How a call ended, ready to be recorded. `data` is the response file as the peer wrote it."""

    response: Response
    recorded: str  # peer | gitrelay
    trailers: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    notes: tuple[str, ...] = ()

    def redacted(self, redactor: Redactor) -> Outcome:
        """The same without its secrets; how many there were is in the trailer, as where it is recorded."""
        response, data, counts = redacted_response(redactor, self.response, self.data)
        notes = tuple(redactor.redact(note).text for note in self.notes)
        trailers = {key: redactor.redact(value).text for key, value in self.trailers.items()}
        count = sum(counts.values())
        if count:
            trailers[Trailer.REDACTED] = str(count)
        return replace(
            self, response=response, data=None if self.data is None else data, trailers=trailers, notes=notes
        )

    def to_json(self) -> dict[str, Any]:
        r = self.response
        return {
            "re": r.re,
            "from": r.from_,
            "to": r.to,
            "status": r.status,
            "verify": r.verify,
            "body": r.body,
            "reason": r.reason,
            "recorded": self.recorded,
            "trailers": self.trailers,
            "data": None if self.data is None else self.data.decode(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Outcome:
        response = Response(
            re=value["re"],
            from_=value["from"],
            to=value["to"],
            status=value["status"],
            verify=value["verify"],
            body=value["body"],
            reason=value["reason"],
        )
        data = value["data"]
        return cls(
            response,
            value["recorded"],
            dict(value["trailers"]),
            None if data is None else data.encode(),
            tuple(value["notes"]),
        )


def judge(ledger: Ledger, call: Call, ending: Ending, transcript: Transcript, program: str, last_words: str) -> Outcome:
    """How the call ended. A valid reply file wins; then a structured answer after a terminal event; else a reason."""
    file_fault = ""
    if ending.stopped != "cancelled":
        outcome, file_fault = reply_file(ledger, call)
        if outcome is not None:
            return outcome
        answer = transcript.answer
        if file_fault and answer is not None and answer.plain:
            answer = None  # "I wrote the reply", said beside a broken one, is not the answer
        if answer is not None and transcript.terminal and transcript.error is None:
            return _answered(call, answer)

    def no_answer(reason: str, what: str) -> Outcome:
        return failed(call.parties, reason, what, exit_code=ending.exit_code, stderr=last_words, said=transcript.text)

    if ending.stopped is not None:
        trouble = transcript.error if ending.stopped in ("timeout", "idle", "no-output") else None
        return no_answer(ending.stopped, ending.detail + (f"; its last error: {trouble[1]}" if trouble else ""))
    if ending.exit_code is None:
        return failed(call.parties, "unavailable", f"the peer did not start: {program}: {ending.error}")
    if file_fault:
        return no_answer("bad-output", f"the reply file is not valid: {file_fault}")
    if transcript.error is not None:
        reason, words = transcript.error
        return no_answer(reason, f"the peer reported an error: {words}")
    if transcript.fault:
        return no_answer("bad-output", f"the answer is not valid: {transcript.fault}")
    if ending.exit_code != 0:
        how = f"exit code {ending.exit_code}" if ending.exit_code > 0 else f"signal {-ending.exit_code}"
        reason = reason_of_status(None, last_words)
        return no_answer(reason, f"the peer ended with {how} and gave no answer")
    if not transcript.terminal and transcript.answer is not None:
        return no_answer("bad-output", "the peer ended without its final event")
    return no_answer("no-output", "the peer ended with exit code 0 and gave no answer")


def _answered(call: Call, answer: Answer) -> Outcome:
    response = Response(call.id, call.to, call.from_, answer.status, answer.verify, answer.body)
    data = answer.data
    if data is not None:
        parsed = parse_response(data)
        problem = _mismatch(call, parsed)
        if problem:
            return failed(call.parties, "bad-output", f"the answer is not valid: {problem}", said=answer.body)
        response = parsed
    return Outcome(response, Recorded.PEER, data=data)


def reply_file(ledger: Ledger, call: Call) -> tuple[Outcome | None, str]:
    """The response that the peer wrote into the worktree, or what is wrong with it; neither where there is none."""
    worktree = SessionWorktree(ledger.repo, ledger.state, call.session)
    try:
        data = worktree.take(response_file(call.id))
        if data is None:
            return None, ""
        response = parse_response(data)
    except BadMessage as e:
        return None, str(e)
    problem = _mismatch(call, response)
    if not problem and not response.body.strip():
        problem = "the body is empty"
    if problem:
        return None, problem
    return Outcome(response, Recorded.PEER, data=data if data.endswith(b"\n") else data + b"\n"), ""


def _mismatch(call: Call, response: Response) -> str:
    for key, wanted, given in (
        ("re", call.id, response.re),
        ("from", call.to, response.from_),
        ("to", call.from_, response.to),
    ):
        if wanted != given:
            return f"{key} is {given!r}, expected {wanted!r}"
    return ""


def violated(call: Call, changed: Sequence[str], outcome: Outcome) -> Outcome:
    """The response to a call with read access under which something was changed; what the peer said is kept in it."""
    what = f"{call.to} had read access, and yet something has changed while it worked: {'; '.join(changed)}"
    return replace(failed(call.parties, "sandbox", what, said=outcome.response.body), notes=outcome.notes)


def failed(
    parties: Parties, reason: str, what: str, *, exit_code: int | None = None, stderr: str = "", said: str = ""
) -> Outcome:
    """The response that gitrelay writes where the peer gave none: what happened, the evidence, what to do next."""
    parts = [f"No answer from {parties.to}: {what.rstrip('.')}."]
    if exit_code is not None:
        parts.append(f"Exit code: {exit_code}")
    lines = stderr.strip().splitlines()[-_STDERR_LINES:]
    if lines:
        parts.append("Last lines of its output:\n\n" + _fenced("\n".join(line[:500] for line in lines)))
    if said.strip():
        parts.append("What it said:\n\n" + _fenced(said.strip()))
    parts.append(_ADVICE.get(reason, "Call again."))
    body = "\n\n".join(parts).replace("\0", "\ufffd")
    return Outcome(
        Response(parties.id, parties.to, parties.from_, Status.ERROR, Verify.SKIP, body, reason), Recorded.GITRELAY
    )


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
