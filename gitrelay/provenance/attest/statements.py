"""What is stated of an exchange, as in-toto Statements v1. Pure: values in, JSON values out.

Three kinds, never mixed. A check is what gitrelay saw (test-result v0.1). A verdict is what the gate would decide
from a recorded review (SLSA Verification Summary v1). A claim is what the peer said of itself, with a predicate of its
own, so that nobody takes it for a test.

Sources: in-toto attestation framework, spec v1 (Statement, ResourceDescriptor, digest sets `gitTree`, `gitCommit`,
`gitBlob`), predicate test-result v0.1; slsa.dev/spec/v1.1/verification_summary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gitrelay.ground.value import dataclass

STATEMENT: Final = "https://in-toto.io/Statement/v1"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
CLAIM: Final = "urn:gitrelay:claim:0.1"
GATE: Final = "urn:gitrelay:gate"
REVIEWED: Final = "GITRELAY_REVIEWED"
BYPASSED: Final = "GITRELAY_BYPASSED"

Statement = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A recorded message: `name` is `SESSION/FILE`, `uri` names branch and commit."""

    name: str
    session: str
    commit: str
    blob: str

    @property
    def uri(self) -> str:
        return f"git:relay/{self.session}@{self.commit}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """An in-toto ResourceDescriptor."""
        return {"name": self.name, "uri": self.uri, "digest": {"gitBlob": self.blob, "gitCommit": self.commit}}


def check(source: Source, address: str, tree: str, command: str, word: str) -> Statement:
    """One check that gitrelay ran on the files `tree`. `word` is pass, `fail (exit 1)`, timeout or lost."""
    configuration = source.descriptor | {"annotations": {"command": command, "result": word}}
    passed = word == "pass"
    return _statement(
        {"name": "git:tree", "digest": {"gitTree": tree}},
        TEST_RESULT,
        {
            "result": "PASSED" if passed else "FAILED",
            "configuration": [configuration],
            "url": f"git:relay/{address}",
            "passedTests": [command] if passed else [],
            "failedTests": [] if passed else [command],
        },
    )


def claim(source: Source, address: str, tree: str | None, said: Mapping[str, str]) -> Statement:
    """What the peer said: `said` has status, verify, peer, and the model where it is known."""
    subject = {"name": "git:tree", "digest": {"gitTree": tree}} if tree else _commit(source)
    return _statement(subject, CLAIM, {**said, "response": source.descriptor, "url": f"git:relay/{address}"})


@dataclass(frozen=True)
class Reviewed:
    """A recorded review: what it is bound to, and how it ended (`passed`, `failed` or `bypassed`)."""

    state: str
    base: str
    head: str
    tree: str
    policy: str
    time: int  # of the answer, seconds since the epoch


def verdict(
    review: Reviewed, address: str, resource: str, inputs: Sequence[Source], version: str, bypassed: str
) -> Statement:
    """The verdict on a change. `resource` is the repository's URI, `inputs` the answer and its checks, all of them."""
    levels = {"passed": REVIEWED, "failed": "FAILED", "bypassed": BYPASSED}
    policy: dict[str, Any] = {"uri": "urn:gitrelay:policy:built-in"}
    if review.policy != "none":
        policy = {"uri": f"git:.relay-review.md@{review.base}", "digest": {"gitBlob": review.policy}}
    predicate = {
        "verifier": {"id": GATE},
        "timeVerified": datetime.fromtimestamp(review.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resourceUri": resource,
        "policy": policy,
        "inputAttestations": [{"uri": one.uri, "digest": {"gitCommit": one.commit}} for one in inputs],
        "verificationResult": "FAILED" if review.state == "failed" else "PASSED",
        "verifiedLevels": [levels[review.state]],
        "urn:gitrelay:version": version,
        "urn:gitrelay:address": address,
    }
    if bypassed:
        predicate["urn:gitrelay:bypass"] = bypassed
    subject = {"name": "git:head", "digest": {"gitTree": review.tree, "gitCommit": review.head}}
    return _statement(subject, SUMMARY, predicate)


def payload(statement: Statement) -> bytes:
    """The bytes that are signed: keys in order, no blanks, so that the same record gives the same bytes."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def kind_of(statement: Statement) -> object:
    return statement.get("predicateType")


def address_of(statement: Statement) -> str | None:
    """The address that a statement of ours names, None if it names none."""
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict):
        return None
    url = predicate.get("url", "")
    said = url.removeprefix("git:relay/") if isinstance(url, str) and url else predicate.get("urn:gitrelay:address")
    return said if isinstance(said, str) else None


def words(statement: Statement) -> str:
    """One line for a person: what is stated. The statement may come from anywhere."""
    predicate = statement.get("predicate")
    about = predicate if isinstance(predicate, dict) else {}
    kind = statement.get("predicateType")
    if kind == TEST_RESULT:
        tests = about.get("failedTests") or about.get("passedTests") or []
        return f"check {about.get('result')}: {', '.join(map(str, tests)) if isinstance(tests, list) else tests}"
    if kind == SUMMARY:
        return f"verdict {about.get('verificationResult')}, {about.get('verifiedLevels')}"
    if kind == CLAIM:
        return f"claim of {about.get('peer')}: verify {about.get('verify')}"
    return f"a statement of another kind: {kind}"


def _statement(subject: dict[str, Any], kind: str, predicate: dict[str, Any]) -> Statement:
    return {"_type": STATEMENT, "subject": [subject], "predicateType": kind, "predicate": predicate}


def _commit(source: Source) -> dict[str, Any]:
    return {"name": "git:commit", "digest": {"gitCommit": source.commit}}
