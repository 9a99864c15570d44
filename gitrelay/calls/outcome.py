"""How a call ended: the peer's own answer, or the response that gitrelay writes if it gave none.

Which answer counts is decided by the written order of `peers.answers`; if there is none, there is a typed reason and
a body that says what happened, shows all that was said, and says what to do next. Only this module decides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from gitrelay.calls import isolation
from gitrelay.errors import Reason
from gitrelay.ground.text import ending as ending_words
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.redaction import redacted_response
from gitrelay.peers import cures
from gitrelay.peers.base import Answer, Transcript
from gitrelay.peers.voice import reason_of_status
from gitrelay.process.capture import Capture
from gitrelay.process.values import Ending
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Parties, Response, parse_response, response_file
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Access, Recorded, Status, Verify
from gitrelay.state.calls import Call

if TYPE_CHECKING:
    from gitrelay.protocol.steps import Steps
    from gitrelay.redact import Redactor

_STDERR_LINES: Final = 20
_SAID_MAX: Final = 1024 * 1024  # bytes at either end of what a peer said that a response shows
_PRINTED_MAX: Final = 32 * 1024  # the same for what else it printed

_ENDED_BY_US: Final = (-15, 143)  # SIGTERM
_STOPPED: Final = ("auth", "quota", "timeout", "idle", "cancelled")  # then that signal is gitrelay's, and no news
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
    "refused": "Ask in other words, or another peer.",
    "peer-failed": "Read the log for the peer's own words, then call again.",
    "sandbox": "Look at what has changed (git status); somebody else may have done it. What the peer said is below.",
    "access": "Ask for no more than the call has (--access), or leave it to the caller.",
    "recursion": "Do the work here, or let the outermost caller ask; 'git config relay.maxDepth N' allows more.",
    "budget": "What it changed so far is in the working tree. Give it a larger --budget, or a smaller task; "
    "'git relay stats --budget' shows what is left.",
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
    steps: Steps | None = None  # of the peer; not kept: lost if the supervisor dies before they are recorded

    def redacted(self, redactor: Redactor) -> Outcome:
        """The same without its secrets; how many there were is in the trailer, as in the record."""
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
    """How the call ended: the peer's answer by the order of `peers.answers`, else why there is none.

    An answer that was whole when the peer was stopped or cancelled counts: it is paid for.
    """
    answer = transcript.answer if transcript.terminal and transcript.error is None else None
    if answer is not None and not answer.plain:
        return _with_notes(_answered(call, answer), call, ending, transcript, _contradiction(ledger, call, answer))
    file_fault = ""
    if ending.stopped != Reason.CANCELLED or answer is not None:
        outcome, file_fault = reply_file(ledger, call)
        if outcome is None and answer is not None and not file_fault:
            outcome = _answered(call, answer)  # "I wrote the reply", said about a broken one, is not the answer
        if outcome is not None:
            return _with_notes(outcome, call, ending, transcript, _forbidden_file(ledger, call))
    reason, what = _why(ending, transcript, file_fault, program, last_words)
    outcome = failed(
        call.parties,
        reason,
        what,
        exit_code=None if ending.lingered else ending.exit_code,
        stderr=last_words if ending.exit_code is not None else "",
        said=transcript.text,
        printed=transcript.printed,
    )
    return _with_notes(outcome, call, ending, transcript, _forbidden_file(ledger, call))


def _why(ending: Ending, transcript: Transcript, file_fault: str, program: str, last_words: str) -> tuple[str, str]:
    """(reason, what happened) if there is no answer."""
    if ending.stopped is not None:
        limits = (Reason.TIMEOUT, Reason.IDLE, Reason.NO_OUTPUT)
        trouble = transcript.error if ending.stopped in limits else None
        return ending.stopped, ending.detail + (f"; its last error: {trouble[1]}" if trouble else "")
    if ending.exit_code is None:
        return Reason.UNAVAILABLE, f"the peer did not start: {program}: {ending.error}"
    if file_fault:
        return Reason.BAD_OUTPUT, f"the reply file is not valid: {file_fault}"
    if transcript.error is not None:
        reason, words = transcript.error
        return reason, f"the peer reported an error: {words}"
    reason = reason_of_status(None, last_words)
    if reason == Reason.PEER_FAILED:
        reason = reason_of_status(None, "\n".join(transcript.printed.splitlines()[-_STDERR_LINES:]))
    code = 0 if ending.lingered else ending.exit_code
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    if transcript.fault and (code == 0 or reason == Reason.PEER_FAILED):
        return Reason.BAD_OUTPUT, f"the answer is not valid: {transcript.fault}"
    if code == 0 and not transcript.terminal and transcript.answer is not None:
        return Reason.BAD_OUTPUT, "the peer ended without its final event"
    if code == 0 and reason == Reason.PEER_FAILED:
        reason = Reason.BAD_OUTPUT if transcript.garbled else Reason.NO_OUTPUT
    broken = f"; {_events(transcript.garbled)} of it broken" if transcript.garbled else ""
    return reason, f"the peer ended with {how} and gave no answer{broken}"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _with_notes(outcome: Outcome, call: Call, ending: Ending, transcript: Transcript, further: str) -> Outcome:
    """The outcome with what a reader of the record has to know besides the answer."""
    notes = [further] if further else []
    if outcome.recorded == Recorded.PEER and ending.stopped is not None:
        notes.append(f"its answer was whole before it was stopped: {ending.detail}")
    if ending.lingered:
        notes.append(ending.detail)
    if outcome.recorded == Recorded.PEER and not ending.lingered and ending.stopped is None and ending.exit_code:
        notes.append(f"it ended with {ending_words(ending.exit_code)} after its answer")
    if transcript.denied:
        count = len(transcript.denied)
        tools = ", ".join(dict.fromkeys(plain(tool, 60) for tool in transcript.denied[:20]))
        calls = f"1 tool call of {call.to} was" if count == 1 else f"{count} tool calls of {call.to} were"
        notes.append(f"{calls} refused: {tools}")
    if outcome.recorded == Recorded.PEER and transcript.garbled:
        notes.append(f"{_events(transcript.garbled)} of what it printed broken; the log has all of it")
    return replace(outcome, notes=(*outcome.notes, *notes)) if notes else outcome


def _answered(call: Call, answer: Answer) -> Outcome:
    response = Response(call.id, call.to, call.from_, answer.status, answer.verify, answer.body, answer.reason)
    data = answer.data
    if data is not None:
        parsed = parse_response(data)
        problem = _mismatch(call, parsed)
        if problem:
            return failed(call.parties, Reason.BAD_OUTPUT, f"the answer is not valid: {problem}", said=answer.body)
        response = parsed
    return Outcome(response, Recorded.PEER, data=data)


def _may_write_file(call: Call) -> bool:
    """Whether a reply file can be the peer's: not under read access, and not for a review, which others answer too."""
    return call.access != Access.READ and not call.bound


def _forbidden_file(ledger: Ledger, call: Call) -> str:
    """A note on a reply file that the peer may not write, '' if there is none."""
    if _may_write_file(call) or not _file_exists(ledger, call):
        return ""
    return f"{response_file(call.id)} was put into the worktree, and does not count: the peer may write nothing"


def _contradiction(ledger: Ledger, call: Call, answer: Answer) -> str:
    """A note on a reply file next to the answer that counts, '' if there is none or it says the same."""
    if not _may_write_file(call):
        return _forbidden_file(ledger, call)
    found, fault = reply_file(ledger, call)
    if found is None:
        return f"the reply file, which does not count, is not valid: {fault}" if fault else ""
    said = found.response
    if (said.status, said.verify) == (answer.status, answer.verify):
        return ""
    return f"the reply file, which does not count, says {said.status}, verify {said.verify}"


def _file_exists(ledger: Ledger, call: Call) -> bool:
    worktree = isolation.replies(ledger, call)
    return worktree is not None and os.path.lexists(worktree.path / response_file(call.id))


def reply_file(ledger: Ledger, call: Call) -> tuple[Outcome | None, str]:
    """The response that the peer wrote into the worktree, or what is wrong with it; neither if none counts."""
    if not _may_write_file(call):
        return None, ""
    worktree = isolation.replies(ledger, call)
    try:
        data = worktree.take(response_file(call.id)) if worktree is not None else None
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
    what = f"{call.to} had read access, but something has changed while it worked: {'; '.join(changed)}"
    return replace(failed(call.parties, "sandbox", what, said=outcome.response.body), notes=outcome.notes)


def failed(
    parties: Parties,
    reason: str,
    what: str,
    *,
    exit_code: int | None = None,
    stderr: str = "",
    said: str = "",
    printed: str = "",
) -> Outcome:
    """The response that gitrelay writes if the peer gave none: what happened, the evidence, what to do next."""
    parts = [f"No answer from {parties.to}: {what.rstrip('.')}."]
    if exit_code is not None and not (exit_code in _ENDED_BY_US and reason in _STOPPED):
        parts.append(f"Exit code: {exit_code}")
    lines = stderr.strip().splitlines()[-_STDERR_LINES:]
    if lines:
        parts.append("Last lines of its output:\n\n" + _fenced("\n".join(line[:500] for line in lines)))
    if said.strip():
        parts.append("What it said:\n\n" + _fenced(_ends(said.strip(), _SAID_MAX)))
    if printed.strip():
        parts.append("What else it printed:\n\n" + _fenced(_ends(printed.strip(), _PRINTED_MAX)))
    cure = cures.cure(parties.to, reason, what)
    parts.append(_ADVICE.get(reason, "Call again.") + (f" Type: {cure}" if cure else ""))
    body = "\n\n".join(parts).replace("\0", "\ufffd")
    return Outcome(
        Response(parties.id, parties.to, parties.from_, Status.ERROR, Verify.SKIP, body, reason), Recorded.GITRELAY
    )


def _ends(text: str, limit: int) -> str:
    """`text`, its middle left out if it is long."""
    if len(text) <= limit // 2:
        return text
    kept = Capture(head=limit, tail=limit)
    kept.feed(text.encode("utf-8", "replace"))
    return kept.text()


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
