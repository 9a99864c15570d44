"""One turn: the peer made ready, run to its end, and what it printed read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitrelay import __version__, environment
from gitrelay.calls import below, budget, context, continuation, handback, isolation, keeping, settings, surroundings
from gitrelay.calls.continuation import Conversation
from gitrelay.calls.outcome import Outcome, failed, judge, violated
from gitrelay.calls.watching import Watch
from gitrelay.errors import Reason, RelayError, UsageError
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import probe, registry
from gitrelay.peers.base import Capabilities, Invocation, Peer, Talker, Transcript
from gitrelay.process import child
from gitrelay.process.log import Log
from gitrelay.process.values import Ending
from gitrelay.protocol.budget import Held
from gitrelay.protocol.frontmatter import decode
from gitrelay.protocol.message import request_file
from gitrelay.protocol.record import Trailer, parse_raw
from gitrelay.protocol.words import Access, Sandbox
from gitrelay.state.calls import WAKE, Call, CallFolder

if TYPE_CHECKING:
    from gitrelay.calls.stepping import Notes


def run_turn(ledger: Ledger, folder: CallFolder, call: Call) -> Outcome:
    """Start the peer of `call`, watch it to its end and judge it."""
    begin = time.monotonic()
    folder.reserve()
    if max(environment.depth(os.environ), call.depth) >= settings.max_depth(ledger.repo):
        chain = " -> ".join([*environment.chain(os.environ), str(call.address)])
        return failed(call.parties, Reason.RECURSION, f"agents calling agents, too deep: {chain}")
    try:
        turn = _prepare(ledger, folder, call)
    except RelayError as e:
        return failed(call.parties, Reason.UNAVAILABLE, f"{e.message}. {e.hint}".rstrip(". "))
    except OSError as e:
        return failed(call.parties, Reason.UNAVAILABLE, f"the call could not be prepared: {e}")
    if turn.program.path is None:
        why = probe.missing(turn.peer.capabilities.program_for(call.access))
        return failed(call.parties, Reason.UNAVAILABLE, f"the peer did not start: {why}")
    if turn.version is not None and not turn.version.supported:
        return failed(call.parties, Reason.UNAVAILABLE, turn.version.complaint(turn.peer))
    caps = budget.of_call(ledger, call)
    why = budget.exceeded(ledger, folder, call, caps, {}, {})
    if why:
        return failed(call.parties, Reason.BUDGET, f"it was not asked: {why}")
    turn = turn.with_dollars(budget.left_usd(ledger, caps))
    cancelled = cancellation(folder)
    resumed = turn.conversation
    watch = Watch(ledger, call)
    try:
        ran = _run_once(ledger, turn, folder, call, cancelled)
    except UsageError as e:
        return failed(call.parties, Reason.UNAVAILABLE, f"{e.message}. {e.hint}".rstrip(". "))
    notes = []
    if resumed is not None and ran.has_lost(turn.peer.capabilities.gone):
        notes.append(f"the conversation {resumed.id} is gone; the peer was given the turns as files")
        resumed = None
        ran = _run_once(ledger, turn.afresh(), folder, call, cancelled)
    before = resumed.spent if resumed else {}
    usage = continuation.of_this_turn(ran.transcript.usage, before, turn.peer.capabilities)
    outcome = judge(ledger, call, ran.ending, ran.transcript, str(turn.program.path), ran.last_words)
    if call.hand_back and outcome.response.reason == Reason.BUDGET:
        said, more = _handed_back(ledger, turn, folder, call, cancelled, ran)
        more = continuation.of_this_turn(more, before, turn.peer.capabilities)
        outcome = handback.added(outcome, said)
        usage = handback.together(usage, more, turn.peer.capabilities.cumulative)
    version = ran.transcript.version or (turn.version.text if turn.version else "")
    continued = {Trailer.CONTINUATION: "native" if resumed else "files"} if turn.follows else {}
    trailers = {
        Trailer.PEER: f"{turn.program.name} {version}".strip(),
        Trailer.MODEL: ran.transcript.model or "",
        Trailer.PEER_SESSION: ran.transcript.peer_session or "",
        Trailer.DURATION: f"{time.monotonic() - begin:.1f}",
        Trailer.USAGE: " ".join(f"{name}={used}" for name, used in usage.items()),
        Trailer.TOOL: f"gitrelay {__version__}",
        Trailer.PROMPT: ran.told,
        Trailer.DENIED: str(len(ran.transcript.denied) or ""),
        **continued,
    }
    _tidy(turn, call)
    notes += _not_measured(call, turn.peer.capabilities, usage)
    seen = watch.seen(folder.refused())
    if seen.sandbox is not None:
        trailers[Trailer.SANDBOX] = seen.sandbox
    trailers[Trailer.SHARED] = seen.shared
    if seen.sandbox == Sandbox.VIOLATED:
        outcome = violated(call, seen.changed, outcome)
    else:
        notes += seen.notes
    steps = turn.noted.of(call) if turn.noted is not None else None
    return replace(outcome, trailers=trailers | outcome.trailers, notes=(*outcome.notes, *notes), steps=steps)


def _not_measured(call: Call, able: Capabilities, usage: Mapping[str, str]) -> list[str]:
    """A note for each unit of the call's budget that its peer told nothing of."""
    known = {"cost_usd": "usd", "input": "tok", "output": "tok"}
    told = {known[name] for name in usage if name in known}
    blind = [unit for unit in budget.unmeasured(Held.from_trailer(call.budget), able, None) if unit not in told]
    return [f"budget: {unit} not measured, {call.to} does not tell it" for unit in blind]


@dataclass(frozen=True)
class _Turn:
    """A call made ready. `follows`: the peer was asked in this session before."""

    peer: Peer
    program: probe.Program
    version: probe.Version | None
    env: Mapping[str, str]
    invocation: Invocation
    conversation: Conversation | None
    follows: bool
    litter: tuple[str, ...]  # folders that are not there yet and that the peer's sandbox may leave, empty
    noted: Notes | None

    def with_dollars(self, left: str | None) -> _Turn:
        return replace(self, invocation=replace(self.invocation, budget_usd=left))

    def afresh(self) -> _Turn:
        return replace(self, invocation=replace(self.invocation, resume=None, unseen=()), conversation=None)


@dataclass(frozen=True)
class _Ran:
    """What one run of the program came to. `last_words` is the end of its stderr, `told` the digest of its prompt."""

    ending: Ending
    transcript: Transcript
    last_words: str
    told: str = ""

    def has_lost(self, gone: tuple[str, ...]) -> bool:
        """Whether it ended because the conversation that it was to resume does not exist."""
        found = self.transcript
        if self.ending.stopped is not None or self.ending.exit_code is None or found.answer is not None:
            return False
        said = "\n".join([self.last_words, found.printed, found.error[1] if found.error else ""]).lower()
        return any(words in said for words in gone)


def _prepare(ledger: Ledger, folder: CallFolder, call: Call) -> _Turn:
    repo = ledger.repo
    isolation.files_of(ledger, call)  # raises if it is gone
    isolation.lay_out(ledger, call)
    isolation.settle(ledger, call)
    prompt = _prompt(ledger, call)
    peer = registry.find(repo, call.to)
    told = environment.handed_down(os.environ, call.address, call.access, call.depth)
    own = settings.peer_environment(repo, call.to) | told
    own[environment.CALL] = call.mark
    env = surroundings.of(surroundings.Trees(call.top, call.workspace), environment.for_peer(os.environ, own))
    follows, conversation = False, None
    if peer.capabilities.resumes and not call.one_shot and call.id != "01":
        before = exchanges.exchanges(ledger, call.session)
        follows = any(e.to == call.to and e.response is not None for e in before)
        if settings.resumes(repo, call.to):
            conversation = continuation.find(before, call.to, call.id, peer.capabilities)
    unseen = conversation.unseen if conversation else ()
    invocation = Invocation(
        prompt=prompt,
        cwd=Path(call.place),
        place=below.at(call.place, call.below),
        instead_of=Path(call.top) if call.workspace else None,
        alone=call.alone,
        folder=folder.path,
        access=call.access,
        model=call.model,
        effort=call.effort,
        resume=conversation.id if conversation else None,
        unseen=tuple(f".relay/{call.session}/{id_}.*.md" for id_ in unseen),
    )
    program = probe.find(peer.capabilities.program_for(call.access), env)
    version = probe.version(ledger.state, program, peer.capabilities) if peer.capabilities.minimum else None
    litter = tuple(name for name in peer.capabilities.litter if not os.path.lexists(Path(call.place) / name))
    noted = _notes(ledger, call)
    return _Turn(peer, program, version, env, invocation, conversation, follows, litter, noted)


def _prompt(ledger: Ledger, call: Call) -> str:
    """The request's text with that of the exchanges which it hands over. Raises UsageError if one of them is gone.

    Who sends a job to a worker does not choose what is read out of the worker's repository.
    """
    asked = f"{call.request_commit}"
    commit, request = ledger.repo.objects([asked, f"{asked}:{request_file(call.id)}"])
    assert commit is not None and request is not None
    said = "" if call.served else parse_raw(commit.oid, commit.data).context
    return context.with_text(ledger, context.of_trailer(said or ""), decode(request.data))


def _notes(ledger: Ledger, call: Call) -> Notes | None:
    """What notes the steps of the peer, None if they are not to be recorded: then nothing for it is loaded."""
    if not settings.steps(ledger.repo):
        return None
    from gitrelay.calls import stepping

    return stepping.notes(ledger, call)


def _tidy(turn: _Turn, call: Call) -> None:
    """Remove the empty folders that the peer's sandbox leaves behind when it is ended at the wrong moment."""
    for name in turn.litter:
        with contextlib.suppress(OSError):
            (Path(call.place) / name).rmdir()


def cancellation(folder: CallFolder) -> Callable[[], str | None]:
    """A question that says who has cancelled the call, None while nobody has; SIGTERM to this process counts.

    WAKE makes the process that waits for the peer look again.
    """
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    signal.signal(WAKE, lambda number, _: None)
    return lambda: "a signal to the supervisor" if signals else folder.cancelled_by()


def _handed_back(
    ledger: Ledger, turn: _Turn, folder: CallFolder, call: Call, cancelled: Callable[[], str | None], ran: _Ran
) -> tuple[str, Mapping[str, str]]:
    """(what the peer says in one last turn of its conversation, '' if it cannot be asked; what the turn used)."""
    able, id_ = turn.peer.capabilities, ran.transcript.peer_session or ""
    if not able.resumes or not continuation.is_id(id_):
        return "", {}
    access = Access.READ if Access.READ in able.access else call.access
    last = replace(turn.invocation, prompt=handback.PROMPT, access=access, resume=id_, unseen=(), budget_usd=None)
    turn = replace(turn, invocation=last, conversation=Conversation(id_))
    found = _run_once(ledger, turn, folder, replace(call, limits=handback.LIMITS), cancelled, last=True).transcript
    return found.answer.body if found.answer is not None else found.text, found.usage


def _talker(reader: object) -> Talker:
    assert isinstance(reader, Talker)
    return reader


def _run_once(
    ledger: Ledger,
    turn: _Turn,
    folder: CallFolder,
    call: Call,
    cancelled: Callable[[], str | None],
    *,
    last: bool = False,
) -> _Ran:
    """Run the peer to its end. `last`: no budget holds it any more, and its log is another one."""
    command = turn.peer.command(turn.invocation)
    keep = None if last else keeping.seconds(ledger, call, turn.peer)
    able, earlier = turn.peer.capabilities, turn.conversation.spent if turn.conversation else {}
    before = {name: str(value) for name, value in earlier.items() if name in able.cumulative}
    out, err = folder.out_log, folder.err_log
    if last:
        out, err = folder.path / f"{handback.LOG}.out", folder.path / f"{handback.LOG}.err"
    out_log = Log(out, ledger.redactor)
    err_log = None if command.join else Log(err, ledger.redactor)
    argv: tuple[str, ...] = (str(turn.program.path), *command.argv[1:])
    env = {**turn.env, **command.env}
    agent = keeping.agent(ledger, call, turn.invocation, argv, env, keep) if keep else None
    if agent is not None:
        argv, env = agent.argv, {environment.CALL: call.mark}
    supervisor = agent.keeper if agent is not None else os.getpid()
    reader = turn.peer.reader(replace(turn.invocation, keep=agent is not None))
    if turn.noted is not None:
        turn.noted.listen(reader)
    ending = child.run(
        argv,
        cwd=turn.invocation.start,
        env=env,
        stdin=command.stdin,
        limits=call.limits,
        listener=reader if last else budget.Meter(ledger, folder, call, reader, before),
        out_log=out_log,
        err_log=err_log,
        cancelled=cancelled,
        started=lambda pid, at: folder.save(replace(call, peer_pid=pid, peer_started=at, supervisor=supervisor)),
        talk=_talker(reader) if command.talks else None,
    )
    if agent is not None:
        agent.settle(ending.exit_code == 0 and ending.stopped is None)
    with contextlib.suppress(OSError):  # the repository may have been moved meanwhile
        folder.save(call)  # the peer is gone, and what runs below the supervisor from now on is not its doing
    last_words = (err_log or out_log).last(8192).decode("utf-8", "replace")
    for log in (out_log, err_log):
        if log is not None:
            log.close()
    by_itself = ending.stopped is None and not ending.lingered
    told = f"sha256:{hashlib.sha256(command.told).hexdigest()}" if command.told else ""
    return _Ran(ending, reader.transcript(ending.exit_code if by_itself else None), last_words, told)
