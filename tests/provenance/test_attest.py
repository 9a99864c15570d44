"""`git relay attest`: other people's verifiers agree with what it signs, and nothing changed is believed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from gitrelay.provenance.attest import dsse, signing, sshagent, statements
from gitrelay.provenance.attest.attesting import resource_uri
from support.gate import Gate
from support.places import TESTS
from support.realcli import require_modules
from support.repo import BIN, Repo

SHELL = ("req", "--from", "uma", "--to", "shell")
KINDS = {"ed25519": "ed25519", "rsa": "rsa-pkcs1v15-sha256", "ecdsa": "ecdsa-sha2-nistp256"}


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


def key(repo: Repo, kind: str = "ed25519") -> Path:
    path = repo.path.parent / f"key-{kind}"
    bits = "-b 2048" if kind == "rsa" else ""
    repo.sh(f"ssh-keygen -q -t {kind} {bits} -N '' -C uma -f {path}")
    signers = repo.path.parent / "signers"
    signers.write_text(f"uma {path.with_suffix('.pub').read_text()}")
    repo.git("config", "gpg.ssh.allowedSignersFile", str(signers))
    return path


def pem_of(path: Path) -> str:
    public = serialization.load_ssh_public_key(path.with_suffix(".pub").read_bytes())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def checked(repo: Repo) -> None:
    """s/01: a check that passes and one that fails."""
    repo.relay(*SHELL, "--session", "s", "--check", "true", "--check", "exit 3", "echo 1 >new.txt")


def signed(repo: Repo, *words: str) -> list[dict[str, Any]]:
    done = repo.relay("attest", *words)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def stated(envelope: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return value


def changed(envelope: dict[str, Any], at: int) -> dict[str, Any]:
    """The envelope with one byte of its payload flipped."""
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[at] ^= 1
    return envelope | {"payload": base64.b64encode(payload).decode()}


def others_key(pem: str, scheme: str, envelope: dict[str, Any]) -> SSlibKey:
    """A key as securesystemslib has it, which wants its own id in the envelope."""
    public = serialization.load_pem_public_key(pem.encode())
    return SSlibKey.from_crypto(public, envelope["signatures"][0]["keyid"], scheme)


def other_says(envelope: dict[str, Any], public: SSlibKey) -> bool:
    try:
        OtherEnvelope.from_dict(json.loads(json.dumps(envelope))).verify([public], 1)
    except VerificationError:
        return False
    return True


def sigstore_says(pem: str, envelopes: Sequence[dict[str, Any]]) -> list[str]:
    lines = [{"modules": str(require_modules("sigstore-verify"))}, *({"pem": pem, "envelope": e} for e in envelopes)]
    script = TESTS / "support" / "sigstore.cjs"
    said = "\n".join(json.dumps(line) for line in lines)
    done = subprocess.run(["node", str(script)], input=said, capture_output=True, text=True, check=True)
    return done.stdout.split()


def openssl_says(folder: Path, pem: str, envelope: dict[str, Any]) -> bool:
    for name, data in {
        "pem": pem.encode(),
        "pae": dsse.pae(base64.b64decode(envelope["payload"])),
        "sig": base64.b64decode(envelope["signatures"][0]["sig"]),
    }.items():
        (folder / name).write_bytes(data)
    words = "openssl pkeyutl -verify -pubin -inkey pem -rawin -in pae -sigfile sig"
    return subprocess.run(words.split(), cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", KINDS)
def test_verifiers_of_others_agree(repo: Repo, kind: str, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo, kind)
    envelopes = signed(repo, "--key", str(path), "s/01")
    pem = pem_of(path)
    public = others_key(pem, KINDS[kind], envelopes[0])
    assert [other_says(e, public) for e in envelopes] == [True] * 3
    assert sigstore_says(pem, [*envelopes, changed(envelopes[0], 9)]) == ["ok"] * 3 + ["SIGNATURE_ERROR"]
    if kind == "ed25519":
        assert [openssl_says(tmp_path, pem, e) for e in (envelopes[0], changed(envelopes[0], 9))] == [True, False]
    out = tmp_path / "signed.jsonl"
    out.write_text("".join(f"{json.dumps(e)}\n" for e in envelopes))
    done = repo.relay("attest", "--verify", str(out))
    assert done.code == 0 and done.out.count("good: ") == done.out.count("; as recorded") == 3, done.out + done.err
    assert "signed by uma (SHA256:" in done.out


def test_ssh_keygen_reads_its_own_form(repo: Repo, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo)
    signers = repo.path.parent / "signers"
    (envelope, *_) = signed(repo, "--form", "sshsig", "--key", str(path), "s/01")
    payload = base64.b64decode(envelope["payload"])
    for kind in KINDS:
        path = path if kind == "ed25519" else key(repo, kind)
        with sshagent.of_file(path) as agent:
            made = signing.Signer(agent, agent.keys()[0], signing.SSHSIG).envelope(payload)
        if kind == "ed25519":
            assert json.loads(made.line()) == envelope
        believed = signing.believed(signers)
        assert signing.who_signed(made, believed) is not None
        assert signing.who_signed(dsse.Envelope(payload + b" ", made.signatures), believed) is None
        (tmp_path / "sig").write_bytes(made.signatures[0].raw)
        says = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "uma", "-n", "dsse@gitrelay", "-s", "sig"]
        for data, code in ((payload, 0), (payload[:-1] + b"?", 255)):
            done = subprocess.run(says, cwd=tmp_path, input=dsse.pae(data), capture_output=True, check=False)
            assert done.returncode == code, done.stderr
    believed = signing.believed(signers)
    for name, code in (("dsse@gitrelay", True), ("file", False)):  # what ssh-keygen has signed; for another namespace
        (tmp_path / name).write_bytes(dsse.pae(payload))
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", path, "-n", name, name], cwd=tmp_path, check=True)
        theirs = dsse.Envelope(payload, (dsse.Signature("", (tmp_path / f"{name}.sig").read_bytes()),))
        assert (signing.who_signed(theirs, believed) is not None) is code
    lines = (tmp_path / "dsse@gitrelay.sig").read_bytes().splitlines()
    for bad in (lines[:1], lines[:-1], [lines[0], b"AA==", lines[-1]], [lines[0], b"%", lines[-1]]):
        broken = dsse.Envelope(payload, (dsse.Signature("", b"\n".join(bad)),))
        assert signing.who_signed(broken, believed) is None


def test_a_range_states_what_it_can_and_names_the_rest(repo: Repo) -> None:
    checked(repo)
    repo.sh("git add new.txt; git commit -qm 'with a check'; echo 2 >new.txt; git commit -qam 'without one'")
    done = repo.relay("attest", "--unsigned", "--json", "HEAD~2..HEAD")
    assert done.code == 0, done.err
    data = done.json["data"]
    assert [one["predicate"]["result"] for one in data["statements"]] == ["PASSED", "FAILED"], "and no claim"
    assert [(row["commit"], row["checks"]) for row in data["commits"]] == [
        (repo.git("rev-parse", "HEAD~1"), ["s/01"]),
        (repo.git("rev-parse", "HEAD"), []),
    ]
    assert f"no check and no verdict: {repo.git('rev-parse', 'HEAD')[:12]} without one\n" in done.err
    assert "1 of 2 commits with a statement" in done.err
    for word, why in (("HEAD~1..HEAD", "nothing can be stated"), ("HEAD..HEAD", "no commit"), ("x..y", "'x..y'")):
        done = repo.relay("attest", "--unsigned", word)
        assert done.code == 2 and why in done.err.splitlines()[-1], done.err


def test_every_byte_counts(repo: Repo, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo)
    envelope = signed(repo, "--key", str(path), "s/01")[1]
    believed = signing.believed(repo.path.parent / "signers")
    public = others_key(pem_of(path), KINDS["ed25519"], envelope)
    size = len(base64.b64decode(envelope["payload"]))
    assert size > 400
    for at in range(size):
        bad = changed(envelope, at)
        assert signing.who_signed(dsse.parse(json.dumps(bad).encode()), believed) is None
        assert not other_says(bad, public)
    assert signing.who_signed(dsse.parse(json.dumps(envelope).encode()), believed) is not None
    raw = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    for at in range(len(raw)):
        raw[at] ^= 1
        bad = envelope | {"signatures": [{"keyid": "", "sig": base64.b64encode(raw).decode()}]}
        assert signing.who_signed(dsse.parse(json.dumps(bad).encode()), believed) is None
        raw[at] ^= 1


def test_what_is_stated_is_what_the_record_says(repo: Repo) -> None:
    checked(repo)
    claim, passed, failed = (json.loads(line) for line in repo.relay("attest", "--unsigned", "s/01").out.splitlines())
    commits = repo.git("log", "--format=%H", "--reverse", "relay/s").split()[-2:]
    for one, commit, word in ((passed, commits[0], "PASSED"), (failed, commits[1], "FAILED")):
        tree = repo.git("log", "-1", "--format=%(trailers:key=Relay-Tree,valueonly)", commit).strip()
        assert one["subject"] == [{"name": "git:tree", "digest": {"gitTree": tree}}]
        assert repo.git("cat-file", "-p", f"{tree}:new.txt") == "1"
        assert one["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
        assert one["predicate"]["result"] == word
        assert one["predicate"]["configuration"][0]["digest"]["gitCommit"] == commit
    assert failed["predicate"]["configuration"][0]["annotations"]["result"] == "fail (exit 3)"
    assert claim["predicateType"] == statements.CLAIM and claim["predicate"]["verify"] == "pass"
    assert "result" not in claim["predicate"]


@pytest.mark.parametrize(
    ("script", "result", "levels"),
    [
        ("git relay review", "PASSED", ["GITRELAY_REVIEWED"]),
        ("echo BAD >>app.py; git commit -qam bad; git relay review || true", "FAILED", ["FAILED"]),
        ("git relay bypass --reason 'Ada has looked'", "PASSED", ["GITRELAY_BYPASSED"]),
        ("git config relay.fake.command false; git relay review || true", None, None),
    ],
)
def test_a_verdict_is_what_the_gate_reads(
    gate: Gate, script: str, result: str | None, levels: list[str] | None
) -> None:
    gate.reviewer("reviews-by-the-files")
    gate.commit()
    gate.repo.sh(script)
    gate.repo.git("config", "remote.origin.url", "https://ada:secret@example.org/team/app.git")
    done = gate.repo.relay("attest", "--unsigned", "--session", "review-main")
    found = [json.loads(line) for line in done.out.splitlines()]
    verdicts = [one for one in found if one["predicateType"] == statements.SUMMARY]
    if result is None:
        assert not verdicts and "no verdict" in done.err
        return
    (verdict,) = verdicts
    about = verdict["predicate"]
    assert (about["verificationResult"], about["verifiedLevels"]) == (result, levels)
    assert about["resourceUri"] == "git+https://example.org/team/app.git" and "secret" not in done.out
    assert verdict["subject"][0]["digest"]["gitCommit"] == gate.repo.git("rev-parse", "HEAD")
    assert about["verifier"]["id"] and about["policy"]["uri"] and about["timeVerified"].endswith("Z")
    assert all(one["digest"]["gitCommit"] for one in about["inputAttestations"])
    if levels == ["GITRELAY_REVIEWED"]:
        ranged = gate.repo.relay("attest", "--unsigned", "HEAD~1..HEAD")
        assert [json.loads(line) for line in ranged.out.splitlines()] == verdicts
        assert "1 of 1 commit with a statement" in ranged.err


def test_kept_statements_are_added_to_and_shared(repo: Repo, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo)
    words = ("attest", "--store", "--key", str(path), "s/01")
    assert repo.relay(*words).code == 0
    first = repo.git("rev-parse", "refs/attestations/trees")
    assert repo.relay(*words).code == 0
    assert repo.git("rev-parse", "refs/attestations/trees") == first, "ed25519 signs alike, so nothing is new"
    running = [
        subprocess.Popen(
            [str(BIN / "git-relay"), "attest", "--store", "--key", str(key(repo, kind)), "s/01"],
            cwd=repo.path,
            env=dict(repo.env),
            stdout=subprocess.DEVNULL,
        )
        for kind in ("rsa", "ecdsa")
    ]
    assert [one.wait() for one in running] == [0, 0]
    kept = repo.git("ls-tree", "-r", "--name-only", "refs/attestations/trees").splitlines()
    lines = [line for name in kept for line in repo.git("show", f"refs/attestations/trees:{name}").splitlines()]
    assert len(lines) == 9
    (repo.path.parent / "signers").write_text(f"uma {path.with_suffix('.pub').read_text()}")
    done = repo.relay("attest", "--verify", "refs/attestations/trees")
    assert done.code == 1 and done.out.count("good: ") == 3 and done.out.count("no key that is believed") == 6
    assert not (repo.path / ".git/relay/attest").exists() and repo.git("status", "--porcelain") == "?? new.txt"


def test_a_statement_that_the_record_does_not_make_is_told(repo: Repo, tmp_path: Path) -> None:
    """A good signature says who, not that it is true: the record is compared."""
    checked(repo)
    path = key(repo)
    statement = stated(signed(repo, "--key", str(path), "s/01")[2])
    statement["predicate"]["result"] = "PASSED"
    elsewhere = json.loads(json.dumps(statement).replace("s/01", "gone/01"))
    place = tmp_path / "other.jsonl"
    with sshagent.of_file(path) as agent:
        signer = signing.Signer(agent, agent.keys()[0])
        place.write_text("".join(f"{signer.envelope(statements.payload(s)).line()}\n" for s in (statement, elsewhere)))
    done = repo.relay("attest", "--verify", str(place))
    assert done.code == 1 and "bad: check PASSED: exit 3; signed by uma" in done.out
    assert "the record of s/01 does not say that" in done.out and "gone/01 is not in this clone" in done.out


UNSIGNED = '{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}'
BAD = ["", "{}", "[]", "null", '{"payloadType":"x"}', "[" * 100_000, "\udc80", UNSIGNED]


def test_what_is_no_statement_is_told_in_a_line(repo: Repo, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo)
    good = signed(repo, "--key", str(path), "s/01")[0]
    inner = {**good, "payload": base64.b64encode(b'["x"]').decode()}
    odd = {**good, "signatures": [{"keyid": 7, "sig": "AA=="}]}
    place = tmp_path / "bad.jsonl"
    lines = [*BAD, json.dumps(inner), json.dumps(odd), json.dumps({**good, "payload": "%"})]
    place.write_text("\n".join(lines), errors="surrogateescape")
    done = repo.relay("attest", "--verify", str(place))
    told = done.out.splitlines()
    assert done.code == 1 and not done.err and len(told) == len([line for line in lines if line])
    assert all(one.startswith("bad: it is not a signed statement: ") and len(one) < 200 for one in told)
    for text in ("", "{}", "\udc80"):  # alone in its file
        place.write_text(text, errors="surrogateescape")
        done = repo.relay("attest", "--verify", str(place))
        assert done.code in (1, 2) and len(done.out + done.err) < 400, text


def test_words_that_cannot_be_meant(repo: Repo, tmp_path: Path) -> None:
    checked(repo)
    path = key(repo)
    for words, said in (
        (("--key", "/no/such/key", "s/01"), "'/no/such/key'"),
        (("--verify", "no-such-file"), "'no-such-file'"),
        (("--verify", "refs/attestations/none"), "refs/attestations/none"),
        (("--store", "--unsigned", "s/01"), "--unsigned"),
        (("--verify", str(path), "--signers", str(tmp_path)), str(tmp_path)),
        (("gone/01",), "gone"),
    ):
        done = repo.relay("attest", *words)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1, done.err
    alone = repo.relay("attest", "s/01", env={"SSH_AUTH_SOCK": ""})
    assert alone.code == 2 and "hich key signs" in alone.err
    dead = repo.relay("attest", "s/01", env={"SSH_AUTH_SOCK": str(tmp_path / "dead")})
    assert dead.code == 4 and "does not answer" in dead.err
    locked = tmp_path / "no-key"
    locked.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    locked.chmod(0o600)
    bad = repo.relay("attest", "--key", str(locked), "s/01")
    assert bad.code == 4 and "ssh-add does not take the key" in bad.err
    without = tmp_path / "without" / "cryptography"
    without.mkdir(parents=True)
    (without / "__init__.py").write_text("raise ImportError('not here')\n")
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(f"{json.dumps(e)}\n" for e in signed(repo, "--key", str(path), "s/01")))
    unread = repo.relay("attest", "--verify", str(kept), env={"PYTHONPATH": str(without.parent)})
    assert unread.code == 2 and "gitrelay-cli[attest]" in unread.err


def test_an_agent_of_the_persons_own_signs(repo: Repo) -> None:
    checked(repo)
    path = key(repo)
    place = repo.path.parent / "agent"
    run = f"ssh-agent -a {place} sh -c 'ssh-add -q {path} && rm {path} && git relay attest s/01; kill $SSH_AGENT_PID'"
    out = repo.sh(run)
    assert out.count('"payloadType"') == 3
    assert not os.path.exists(path), "the key was in the agent alone"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://u:p@example.org:8443/a/b.git", "git+https://example.org:8443/a/b.git"),
        ("git@example.org:a/b.git", "git+ssh://example.org/a/b.git"),
        ("ssh://git@example.org/a/b", "git+ssh://example.org/a/b"),
        ("git://example.org/a", "git://example.org/a"),
        ("/srv/git/a.git", None),
        ("file:///srv/a", None),
        ("../a", None),
        ("https://[bad", None),
        ("", None),
    ],
)
def test_a_repository_has_a_name_that_others_know(url: str, found: str | None) -> None:
    assert resource_uri(url) == found
