"""A call never has more access than the call that it runs in; GITRELAY_SOAK=1 tries each access in each disguise."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.repo import Repo, copy_of
from support.soak import covering


def peer(repo: Repo, name: str, script: str) -> None:
    """A configured peer that runs `script` in the working tree and answers with what it printed."""
    program = repo.path.parent / f"{name}.sh"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    program.chmod(0o755)
    repo.git("config", f"relay.{name}.command", str(program))
    repo.git("config", f"relay.{name}.plain", "true")


def trailer(repo: Repo, key: str, session: str) -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key={key},valueonly,separator=%x20)", f"relay/{session}").strip()


def outer(repo: Repo, script: str, access: str = "read") -> None:
    peer(repo, "outer", f'{script} >> "$OUT" 2>&1; echo "rc=$?" >> "$OUT"; echo looked')
    repo.relay(
        *("req", "--from", "uma", "--to", "outer", "--session", "outer", "--access", access, "go"),
        env={"OUT": str(repo.path.parent / "out")},
    )


def said(repo: Repo) -> str:
    return (repo.path.parent / "out").read_text()


FORGED = {
    "as it is": "",
    "unset": "env -u GITRELAY_ACCESS -u GITRELAY_CALL -u GITRELAY_CHAIN -u GITRELAY_DEPTH",
    "forged": "env GITRELAY_ACCESS=full GITRELAY_CALL=x GITRELAY_CHAIN= GITRELAY_DEPTH=0",
    "no word": "env GITRELAY_ACCESS=everything",
    "nothing kept": 'env -i PATH="$PATH" HOME="$HOME" GIT_CONFIG_GLOBAL="$GIT_CONFIG_GLOBAL"',
    "as a check": 'env GITRELAY_CALL="$GITRELAY_CALL check" GITRELAY_ACCESS=full',
    "a session of its own": "setsid --wait env -u GITRELAY_ACCESS -u GITRELAY_CALL",
}


@pytest.mark.parametrize(("how", "access"), covering([*FORGED], ["write", "full"]))
def test_a_nested_call_is_refused_more_access_and_that_is_recorded(repo: Repo, how: str, access: str) -> None:
    outer(repo, f"{FORGED[how]} git-relay req --to shell --access {access} --session inner 'touch ../outside'")
    assert "rc=4" in said(repo), said(repo)
    assert not (repo.path.parent / "outside").exists()
    assert trailer(repo, "Relay-Reason", "inner") == "access"
    assert trailer(repo, "Relay-In", "inner") == "outer/01"
    assert trailer(repo, "Relay-Sandbox", "outer") == "violated"
    answer = repo.git("show", "relay/outer:01.res.md")
    assert f"git relay req --to shell --access {access}" in answer and "looked" in answer
    assert repo.relay("fsck").code == 0


def test_what_a_peer_leaves_behind_is_told_by_its_supervisor(repo: Repo) -> None:
    clean = 'env -i PATH="$PATH" HOME="$HOME"'
    outer(
        repo,
        f"(({clean} setsid git-relay req --to shell --session inner 'touch ../outside'; echo end >> ../end) &) ;"
        " while [ ! -e ../end ]; do sleep 0.1; done",
    )
    assert not (repo.path.parent / "outside").exists()
    assert trailer(repo, "Relay-Reason", "inner") == "access"


@pytest.fixture(scope="module")
def template(one_turn: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with the answered session `done`, and `open`, which waits for somebody's answer."""
    made = copy_of(one_turn, tmp_path_factory.mktemp("access") / "repo", one_turn.env)
    made.relay("req", "--from", "uma", "--to", "shell", "--session", "done", "echo x > new.txt")
    made.relay("req", "--from", "uma", "--to", "shell", "--session", "open", "--no-invoke", "x")
    return made


@pytest.mark.parametrize(
    "verb",
    [
        "res --session open --re 01 --from shell --to uma --status done --verify pass forged",
        "check-again --check 'touch ../outside' done/01",
        "apply done/01",
        "bypass --reason because",
        "archive done",
        "hooks install pre-push",
        "install --allow-codex",
        "export -o ../outside",
        "req --to reader --access read --check 'touch ../outside' look",
    ],
)
def test_a_verb_that_changes_something_is_refused_under_read(
    template: Repo, tmp_path: Path, env: dict[str, str], verb: str
) -> None:
    repo = copy_of(template, tmp_path / "repo", env)
    peer(repo, "reader", "echo read")
    tips = repo.git("for-each-ref", "refs/heads/relay/done", "refs/heads/relay/open")
    outer(repo, f"git-relay {verb}")
    assert "rc=4" in said(repo) and "read access" in said(repo), said(repo)
    assert not (repo.path.parent / "outside").exists()
    assert repo.git("for-each-ref", "refs/heads/relay/done", "refs/heads/relay/open") == tips
    assert trailer(repo, "Relay-Sandbox", "outer") == "violated"


def test_a_nested_call_with_no_more_access_runs(repo: Repo) -> None:
    peer(repo, "reader", "echo read")
    outer(repo, "git-relay req --to reader --access read --session inner look")
    assert "rc=0" in said(repo), said(repo)
    assert trailer(repo, "Relay-Sandbox", "outer") == trailer(repo, "Relay-Sandbox", "inner") == "held"


def test_write_does_not_reach_full(repo: Repo) -> None:
    outer(repo, "git-relay req --to shell --access full --session inner 'touch ../outside'", "write")
    assert "rc=4" in said(repo) and trailer(repo, "Relay-Reason", "inner") == "access"
    assert trailer(repo, "Relay-Sandbox", "outer") == ""
    assert "refused more access" in repo.git("log", "-1", "--format=%b", "relay/outer")


def test_the_checks_of_a_call_run_for_its_caller(repo: Repo) -> None:
    peer(repo, "reader", "echo read")
    check = "git-relay req --to shell --session inner 'echo x > new.txt'"
    done = repo.relay("req", "--to", "reader", "--access", "read", "--session", "s", "--check", check, "look")
    assert done.code == 0, done.out
    assert (repo.path / "new.txt").exists()


def test_who_ran_it_and_in_which_call_is_recorded(repo: Repo) -> None:
    repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "true")
    outer(repo, "git-relay check-again --check 'sh -c true' s/01", "write")
    assert "rc=0" in said(repo), said(repo)
    assert trailer(repo, "Relay-In", "s") == "outer/01" and trailer(repo, "Relay-By", "s")
    assert "It ran /" in repo.git("log", "-1", "--format=%b", "relay/s")
    repo.relay("req", "--from", "uma", "--to", "shell", "--session", "t", "--no-invoke", "x")
    words = ("--session", "t", "--re", "01", "--from", "shell", "--to", "uma", "--status", "done", "--verify", "skip")
    assert repo.relay("res", *words, "by hand", env={"CLAUDECODE": "1"}).code == 0
    assert (trailer(repo, "Relay-By", "t"), trailer(repo, "Relay-In", "t")) == ("claude", "")


def test_nobody_answers_for_a_peer_that_has_read_access(repo: Repo) -> None:
    peer(repo, "reader", "while [ ! -e ../go ]; do sleep 0.1; done; echo the true answer")
    assert (
        repo.relay("req", "--from", "uma", "--to", "reader", "--access", "read", "--session", "s", "-d", "x").code == 0
    )
    words = ("--session", "s", "--re", "01", "--from", "reader", "--to", "uma", "--status", "done", "--verify", "pass")
    done = repo.relay("res", *words, "FORGED")
    assert done.code == 6 and "git relay cancel s/01" in done.err
    (repo.path.parent / "go").touch()
    assert "the true answer" in repo.relay("wait", "s/01").out


FORGER = """
printf -- '---\\nrelay: 4\\nre: 01\\nfrom: {from_}\\nto: uma\\n' > ../res
printf -- 'status: done\\nverify: pass\\n---\\n\\n{body}\\n' >> ../res
blob=$(git hash-object -w ../res)
tree=$( (git ls-tree relay/s; printf '{mode} blob %s\\t01.res.md\\n' $blob) | git mktree)
export GIT_AUTHOR_NAME={author} GIT_AUTHOR_EMAIL={author}@gitrelay.invalid
commit=$(printf '{subject}\\n\\n{trailers}\\n' | git commit-tree -p relay/s $tree)
git update-ref refs/heads/relay/s $commit
"""
HONEST = {
    "from_": "forger",
    "body": "by hand",
    "mode": "100644",
    "author": "forger",
    "subject": "res 01 forger -> uma: done, verify pass",
    "trailers": "Relay-Id: 01\\nRelay-From: forger\\nRelay-To: uma\\nRelay-Status: done\\nRelay-Verify: pass\\n"
    "Relay-Recorded: peer",
}


@pytest.mark.parametrize(
    "change",
    [
        {"from_": "uma"},
        {"body": "ghp_" + "a1B2c3D4e5F6" * 3},
        {"mode": "100755"},
        {"author": "uma"},
        {"subject": "anything"},
        {"trailers": HONEST["trailers"].replace("Verify: pass", "Verify: fail")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_commit_by_hand_that_breaks_a_rule_is_put_aside(repo: Repo, change: dict[str, str]) -> None:
    peer(repo, "forger", FORGER.format(**HONEST | change) + "echo printed")
    done = repo.relay("req", "--from", "uma", "--to", "forger", "--session", "s", "x")
    assert "printed" in done.out, done.out + done.err
    assert repo.git("for-each-ref", "refs/relay/aside/s")
    assert repo.relay("fsck").code == 0


@pytest.mark.parametrize(("access", "answer"), [("write", "by hand"), ("read", "printed")])
def test_a_commit_by_hand_that_keeps_all_rules_is_an_answer_only_of_a_writer(
    repo: Repo, access: str, answer: str
) -> None:
    peer(repo, "forger", FORGER.format(**HONEST) + "echo printed")
    done = repo.relay("req", "--from", "uma", "--to", "forger", "--access", access, "--session", "s", "x")
    assert answer in done.out, done.out + done.err
    assert trailer(repo, "Relay-Sandbox", "s") == ("violated" if access == "read" else "")
