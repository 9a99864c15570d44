"""What the peers of a loop are asked: they are told of records and findings by address, nothing is pasted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.history.rounds import Call, Round, Terms, open_findings

_TRIED_MAX: Final = 20  # earlier rounds that are named


def build(terms: Terms, task: str, first: str, rounds: Sequence[Round]) -> str:
    """The request of the round after `rounds`; the first one is the task as it was given."""
    if not rounds:
        return task
    last = rounds[-1]
    call = last.builds[-1]
    lines = [f"Round {last.number + 1} of {terms.rounds} of the task in {first}: round {last.number} did not pass.", ""]
    failed = [command for command in terms.checks if call.checks.get(command, ("lost", ""))[0] != "pass"]
    if failed:
        lines += [f"A check of {call.address} failed; what it printed is in {_check_place(call)}:"]
        lines += [f"- {command} ({call.checks.get(command, ('lost', ''))[0]})" for command in failed]
    elif call.verify == "fail":
        lines.append(f"Your answer in {call.address} says verify: fail.")
    if last.reviews and not failed:
        review = last.reviews[-1]
        lines.append(
            f"The review in {review.address} ({_file(review.address, 'res')}) has findings that are to be fixed:"
        )
        lines += [f"- [{f.severity}] #{f.id} {f.path}{f':{f.line}' if f.line else ''}" for f in open_findings(rounds)]
    lines += ["", "Tried so far:", *(_tried(one) for one in rounds[-_TRIED_MAX:])]
    lines += ["", "Fix what failed, and do not try again what has failed before."]
    return "\n".join(lines)


def _tried(one: Round) -> str:
    calls = [c.address for c in one.builds]
    words = (
        "failed its check"
        if any(w != "pass" for c in one.builds[-1:] for w, _ in c.checks.values())
        else "did not pass"
    )
    reviewed = f", reviewed in {one.reviews[-1].address}" if one.reviews else ""
    return f"- round {one.number}: {', '.join(calls)}{reviewed}: {words}"


def _check_place(call: Call) -> str:
    session, _, id_ = call.address.rpartition("/")
    return f".relay/{session or id_}/{id_}.check*.md ('git show relay/{session or id_}:{id_}.check.md')"


def _file(address: str, kind: str) -> str:
    session, _, id_ = address.rpartition("/")
    return f"git show relay/{session or id_}:{id_}.{kind}.md"


def review(terms: Terms, task: str, first: str, rounds: Sequence[Round], diff: str, cut: bool) -> str:
    """The request of a review of what the last round left."""
    last = rounds[-1]
    earlier = [f for one in rounds[:-1] for r in one.reviews for f in r.findings if f.severity != "minor"]
    still = list({f.id: f for f in earlier}.values())
    lines = [
        f"Review the working tree: what was changed for the task in {first}, round {last.number}. Change nothing.",
        "",
        f"The task: {task.strip().splitlines()[0][:300]} (whole: {_file(first, 'req')})",
        "",
        "List each finding on a line of its own, in this form:",
        "- [blocker|major|minor] path:line what is wrong, and why",
        "blocker and major are what must be fixed; minor is everything else, and never holds the work up. "
        "verify is fail if there is a blocker or major finding, else pass.",
    ]
    if still:
        lines.append(
            "Only what the last round changed, and what is still open, can hold the work up now; begin a finding that "
            "is in the list below with its id, as '- [major] #1f3a9c path:line ...':"
        )
        lines += [f.shown()[:300] for f in still]
    if diff:
        fence = "```"
        while fence in diff:
            fence += "`"
        rest = "\n(cut here; read the files for the rest)" if cut else ""
        lines += ["", "What was changed since the work began:", "", f"{fence}diff", diff.rstrip("\n"), f"{fence}{rest}"]
    return "\n".join(lines)


def report(terms: Terms, rounds: Sequence[Round], end: str) -> str:
    """The body of the last response of a loop."""
    count = "1 round" if len(rounds) == 1 else f"{len(rounds)} rounds"
    lines = [
        f"The loop ended after {count}: {end}.",
        "",
        "| round | build | checks | review | open findings |",
        "|---|---|---|---|---|",
    ]
    for at, one in enumerate(rounds, 1):
        found = open_findings(rounds[:at])
        checks = "; ".join(w for c in one.builds[-1:] for w, _ in c.checks.values()) or "-"
        reviewed = ", ".join(f"{r.address} {r.verify if r.status == 'done' else r.reason}" for r in one.reviews) or "-"
        built = ", ".join(c.address for c in one.builds)
        lines.append(
            f"| {one.number} | {built} | {checks} | {reviewed} | {', '.join('#' + f.id for f in found) or '-'} |"
        )
    found = open_findings(rounds)
    if found:
        lines += ["", "Open:", "", *(f.shown() for f in found)]
    return "\n".join(lines)
