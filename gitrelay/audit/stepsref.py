"""Holds `refs/relay/steps/<session>` to its form: a line of commits, each of which adds the steps of one turn.

They are what peers say they did. A session is whole without them, so none that is missing is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitrelay.audit import leaks, reading
from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.reading import Ref
from gitrelay.audit.steps import Entry, Step
from gitrelay.git.objects import FILE_MODE
from gitrelay.protocol import names
from gitrelay.protocol.steps import FILE, BadSteps, parse, steps_file
from gitrelay.redact import Redactor


def check(store: ObjectStore, redactor: Redactor, refs: Sequence[Ref]) -> Iterator[Finding]:
    """What is wrong with the steps refs of some sessions, secrets in them too."""
    commits = reading.read_commits(store, [ref.tip for ref in refs])
    places: list[tuple[Ref, Step, Entry]] = []
    for ref in refs:
        line, broken = reading.parsed(commits, ref.tip)
        if broken is not None:
            yield _told(ref, f"commit {broken[0][:12]} {broken[1]}", broken[0])
            continue
        trees = store.read("tree", [commit.tree for commit in line])
        for step in reading.steps_of(store, line, trees):
            fault = _fault(step)
            if fault:
                yield _told(ref, fault, step.commit.oid)
                break
            assert step.added is not None
            places.append((ref, step, step.added[0]))
    blobs = store.read("blob", [entry.oid for _, _, entry in places])
    texts = []
    for ref, step, entry in places:
        data = blobs[entry.oid]
        texts.append(data.decode("utf-8", "replace") if isinstance(data, bytes) else "")
        fault = _fault_of_file(entry, data)
        if fault:
            yield _told(ref, f"{entry.name}: {fault}", step.commit.oid)
    for number, line_number, rule in leaks.search(redactor, texts):
        ref, step, entry = places[number]
        words = f"{entry.name}, line {line_number}: {rule}"
        yield finding("secret", words, address=ref.session, commit=step.commit.oid, ref=ref.name)


def _told(ref: Ref, words: str, commit: str) -> Finding:
    return finding("steps", f"{ref.name}: {words}", address=ref.session, commit=commit, ref=ref.name)


def _fault(step: Step) -> str:
    if len(step.commit.parents) > 1:
        return "a commit has two parents"
    if step.added is None or step.fault:
        return f"its tree {step.fault or 'cannot be read'}"
    if len(step.added) != 1 or step.changed or step.deleted:
        return "a commit does not add one file and nothing else"
    entry = step.added[0]
    found = FILE.fullmatch(entry.name)
    if entry.mode != FILE_MODE or found is None or not names.is_id(found[1]):
        return f"{entry.name!r} is no file of steps"
    return ""


def _fault_of_file(entry: Entry, data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    try:
        steps = parse(data)
    except BadSteps as e:
        return str(e)
    return "" if entry.name == steps_file(steps.re) else f"it says that it is of {steps.re}"
