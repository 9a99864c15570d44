"""`git relay fsck`: every rule of a session finds what breaks it, a sound history breaks none, damage is a finding."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitrelay.audit.findings import RULES
from support.forging import FORGERIES, SHELL
from support.inspected import inspected
from support.places import CONFORMANCE, ROOT
from support.repo import Done, Repo, with_one_commit

# an apply whose file says another result than its subject
APPLY = r"""t=$(git rev-parse HEAD^{tree})
printf -- '---\nrelay: 4\nre: 02\napply: conflict\nonto: %s\nby: uma\n---\n\nx\n' $t | add 02.apply.md "
s/^chk .*/apl 02 onto $t: applied/; s/^Relay-Check: .*/Relay-By: uma/; s/^author gitrelay <gitrelay/author uma <uma/"
"""
TOKEN = f"ghp_{'0aB1cD2eF3' * 4}"

# (code, how to break that rule)
BROKEN = [
    ("ref-name", "git update-ref refs/heads/relay/No_Slug $b"),
    ("ref-name", "git update-ref refs/relay/archive/a/b $b"),
    ("ref-broken", ": >.git/$b"),
    ("ref-target", "git rev-parse $b^{tree} >../tree; cp ../tree .git/$b"),
    ("ref-twice", "git update-ref refs/relay/archive/s $b"),
    ("object-missing", "rm $(object $b:01.res.md)"),
    ("object-missing", "rm $(object $req^{tree})"),
    ("object-missing", "rm $(object $req)"),
    ("object-missing", "rm $(object $b)"),
    ("object-corrupt", "cp -f $(object $b:01.res.md) $(object $b:02.res.md)"),
    ("object-corrupt", "cp -f $(object $b^{tree}) $(object $res^{tree})"),
    ("object-corrupt", "cp -f $(object $res) $(object $req)"),
    ("object-corrupt", "damage $b:02.res.md"),
    ("root-tree", 'tip $root; redo "s/^tree .*/tree $(git rev-parse HEAD^{tree})/"'),
    ("root-version", "tip $root; redo 's/^Relay-Version: 4/Relay-Version: 3/'"),
    ("root-subject", "tip $root; redo 's/^open s/open other/'"),
    ("root-subject", "git update-ref refs/heads/relay/copy $b"),
    ("linear", 'redo "s/^author/parent $(git rev-parse HEAD)\\n&/"'),
    ("one-file", "more cat"),
    ("one-file", "more sed 's/^\\(.*\\)02.req.md$/&\\n\\103.req.md\\n\\103.res.md/'"),
    ("file-changed", 'more sed "s/ [0-9a-f]*\\t01.res.md/ $(git rev-parse HEAD:app.py)\\t01.res.md/"'),
    ("file-changed", "more sed 's/^100644 \\(.*01.res.md\\)/100755 \\1/'"),
    ("file-deleted", "more grep -v 01.res.md"),
    ("file-name", "more sed 's/^\\(.*\\)01.req.md$/&\\n\\1notes.md/'"),
    ("file-mode", "tree sed 's/^100644 \\(.*02.check.md\\)/100755 \\1/'"),
    ("order", 'tip $res; tree grep -v 02.req.md; redo "s/^parent .*/parent $(git rev-parse $end~3)/"'),
    ("order", 'tree grep -v 02.res.md; redo "s/^parent .*/parent $(git rev-parse $req)/"'),
    ("ids", 'tip $req; tree grep -v 01; redo "s/^parent .*/parent $(git rev-parse $root)/"'),
    ("ids", "tree sed 's/02.check.md/02.check-3.md/'"),
    ("unanswered", 'tip $req; tree grep -v 01.res; redo "s/^parent .*/parent $(git rev-parse $end~4)/"'),
    ("bytes", "tip $res; edit 02.res.md head -c -1"),
    ("bytes", "tip $res; edit 02.res.md sed 's/^verify: .*/verify: maybe/'"),
    ("bytes", "tip $req; edit 02.req.md sed '/^Reply:/d'"),
    ("file-id", "tip $res; edit 02.res.md sed 's/^re: 02/re: 01/'; redo 's/^res 02/res 01/'"),
    ("parties", "tip $res; edit 02.res.md sed 's/^from: .*/from: codex/'; redo 's/shell/codex/g'"),
    ("trailers", "tip $res; redo 's/^Relay-Verify: .*/Relay-Verify: fail/'"),
    ("trailers", "tip $res; redo 's/^Relay-Verify: .*/&\\n&/'"),
    ("trailers", "tip $res; redo 's/^Relay-To: .*/&\\n not a trailer/'"),
    ("trailers", "tip $res; redo 's/^Relay-To: .*/&\\nRelay-Reason: quota/'"),
    ("subject", "tip $res; redo 's/^\\(res .*\\), verify pass$/\\1, verify fail/'"),
    ("subject", "tip $req; redo 's/^\\(req .*\\): .*/\\1: something harmless/'"),
    ("author", "tip $res; redo 's/^author .*>/author shell <uma@example.invalid>/'"),
    ("author", "redo 's/^author .*>/author shell <shell@gitrelay.invalid>/'"),
    ("author", "tip $root; redo 's/^author .*>/author Uma User <uma@example.invalid>/'"),
    ("reason", "tip $res; edit 02.res.md sed 's/^verify: .*/&\\nreason: quota/'"),
    ("reason", "tip $res; redo 's/^Relay-Recorded: .*/Relay-Recorded: gitrelay/'"),
    ("recorded", "tip $res; redo '/^Relay-Recorded/d'"),
    ("recorded", "tip $res; redo 's/^Relay-Recorded: .*/Relay-Recorded: somebody/'"),
    ("access", "tip $req; redo 's/^Relay-Access: .*/Relay-Access: root/'"),
    ("sandbox", "tip $res; redo 's/^Relay-Recorded: .*/&\\nRelay-Sandbox: perhaps/'"),
    ("head", "tip $res; redo 's/^Relay-Head: .*/Relay-Head: main/'"),
    ("head", "tip $req; redo '/^Relay-Head/d'"),
    ("check", "redo 's/^Relay-Check: pass/Relay-Check: fail (exit 1)/'"),
    ("check", "redo 's/^Relay-Check: .*/Relay-Check: fine/'"),
    ("check", "edit 02.check.md sed 's/^result: .*/result: lost/'"),
    ("apply", APPLY),
    ("review", "tip $req; redo 's/^Relay-Access: .*/&\\nRelay-Review-Base: none/'"),
    ("review", "tip $res; redo 's/^Relay-Recorded: .*/&\\nRelay-Review-Base: none/'"),
    ("bypass", "tip $res; redo 's/^Relay-Recorded: .*/&\\nRelay-Bypass: because/'"),
    ("tree", "tip $res; redo 's/^Relay-Tree: .*/Relay-Tree: HEAD/'"),
    ("tree", "rm $(object $(git log -1 --format='%(trailers:key=Relay-Tree,valueonly)' $res))"),
    ("secret", f"tip $res; edit 02.res.md sed '$a the key is {TOKEN}'"),
    ("secret", f"tip $res; redo '0,/^Relay-/s/^Relay-/the key is {TOKEN}\\n\\n&/'"),
    ("secret", f"edit 02.check.md sed '$a {TOKEN}'"),
    ("code-ref", "git update-ref refs/relay/code/s $(git commit-tree -m x $root^{tree})"),
    ("steps", "git update-ref refs/relay/steps/s $(git commit-tree -m x $root^{tree})"),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with a session of each sort: answered, failed, waiting, archived, imported."""
    folder = tmp_path_factory.mktemp("fsck")
    repo = with_one_commit(folder)
    assert repo.relay("req", "--to", "shell", "--session", "s", "echo one").code == 0
    assert repo.relay("req", "--to", "shell", "--session", "s", "--check", "true", "echo two > new.txt").code == 0
    (repo.path / "new.txt").unlink()
    assert repo.relay("req", "--to", "shell", "--name", "shot", "--access", "full", "exit 1").code == 1
    assert repo.relay("req", "--to", "shell", "--session", "late", "--timeout", "10ms", "sleep 9").code == 5
    assert (
        repo.relay("req", "--to", "shell", "--session", "old", "\n\n  two  blanks \u00e9\u200b\n\nand more").code == 1
    )
    assert repo.relay("archive", "old").code == 0
    assert repo.relay("req", "--to", "codex", "--session", "waiting", "--no-invoke", "hello").code == 0
    assert repo.relay("import", str(CONFORMANCE)).code == 0
    assert repo.relay("close", "s", "late", "auth-refactor").code == 0
    return repo


@pytest.fixture
def repo(template: Repo, tmp_path: Path) -> Repo:
    """A copy of the template."""
    shutil.copytree(template.path, tmp_path / "repo", symlinks=True)
    return Repo(tmp_path / "repo", template.env)


def fsck(repo: Repo, *args: str) -> list[dict[str, Any]]:
    """The findings, after a look at the envelope."""
    done = repo.relay("fsck", "--json", *args)
    assert done.code in (0, 1), done.out + done.err
    findings: list[dict[str, Any]] = done.json["data"]["findings"]
    assert done.code == (1 if findings else 0)
    assert [e["code"] for e in done.json["errors"]] == [f["code"] for f in findings]
    return findings


def codes(repo: Repo, *args: str) -> set[str]:
    return {finding["code"] for finding in fsck(repo, *args)}


def test_a_sound_history_has_no_findings(repo: Repo) -> None:
    done = repo.relay("fsck")
    assert (done.code, done.out) == (0, ""), done.out
    assert "8 sessions, 10 exchanges: no findings" in done.err
    assert fsck(repo, "s", "old") == []


@pytest.mark.parametrize(("code", "script"), BROKEN, ids=[f"{code}-{i}" for i, (code, _) in enumerate(BROKEN)])
def test_each_rule_finds_what_breaks_it_and_nothing_else(repo: Repo, code: str, script: str) -> None:
    repo.sh(SHELL + script)
    findings = [dataclasses.asdict(found) for found in inspected(repo).findings]
    # what a session is cut down to is not what its code ref keeps
    cut = {"code-ref"} if re.search(r"tip \$r(oot|eq)|end~|Relay-Tree: HEAD", script) else set()
    assert {f["code"] for f in findings} - cut == {code} - cut, findings
    for finding in findings:
        assert set(finding) == {"code", "address", "commit", "message", "hint"}
        assert finding["message"] and "\n" not in finding["message"] and "{" not in finding["hint"]
    assert len(findings) <= 2 + len(cut), findings
    assert {f["address"].partition("/")[0] for f in findings} <= {"s", "No_Slug", "a", "copy"}


def test_a_secret_is_found_by_the_users_pattern_too_and_is_not_shown(repo: Repo) -> None:
    repo.sh(SHELL + f"tip $res; edit 02.res.md sed '$a {TOKEN}\\nPRJ-1234'")
    repo.git("config", "relay.redact", r"PRJ-[0-9]{4}\Z|PRJ-[0-9]{4}\n\Z")
    findings = fsck(repo, "s")
    assert [found["message"].rpartition(": ")[2] for found in findings] == ["github-token", "custom"]
    assert TOKEN not in str(findings) and "PRJ-1234" not in str(findings)
    assert findings[0]["address"] == "s/02" and findings[0]["message"].startswith("02.res.md, line ")


def test_every_rule_has_such_a_test() -> None:
    elsewhere = {"unsigned", "signature", "signer"} | {code for code in RULES if code.startswith("witness-")}
    assert {code for code, _ in BROKEN} | {code for _, code, _ in FORGERIES} | elsewhere == set(RULES)


def test_the_rules_are_documented_as_they_are() -> None:
    table = re.findall(r"^\| ([a-z-]+) \| ([^|]*) \|$", (ROOT / "docs/evidence.md").read_text(), re.M)
    assert [(code, words) for code, words in table if code != "code"] == [(c, r[0]) for c, r in RULES.items()]


def test_the_commands_for_an_auditor_work_as_they_stand(pushed: Repo) -> None:
    """The lines of docs/evidence.md are run; what wants signatures finds that there are none."""
    text = (ROOT / "docs/evidence.md").read_text()
    commands = [line for line in re.findall(r"^\$ (git .*)$", text, re.M) if "refs/relay/steps" not in line]
    assert len(commands) > 10  # of a steps ref: tests/calls/test_steps.py, no peer here has one
    tip = pushed.git("rev-parse", "relay/s")
    (pushed.path / "allowed-signers").touch()
    for line in commands:
        names = {"ID_FROM_THE_WITNESS": tip, "SESSION/ID": "s/01", "SESSION": "s", "COMMIT": tip}
        command = functools.reduce(lambda words, name: words.replace(name, names[name]), names, line)
        done = subprocess.run(
            ["sh", "-ec", command], cwd=pushed.path, env=dict(pushed.env), capture_output=True, timeout=60, check=False
        )
        unsigned = "--require-signed" in line or "verify-commit" in line
        assert done.returncode == (1 if unsigned else 0), f"{command}: {done.stderr.decode()}"
        assert done.stdout or unsigned or re.search("push|fsck|fetch|is-ancestor|replace -l|--steps", line), command


def test_a_finding_is_one_line_that_says_where(repo: Repo) -> None:
    repo.sh(SHELL + "tip $res; redo 's/^Relay-Verify: .*/Relay-Verify: fail/'")
    done = repo.relay("fsck", "s")
    assert done.code == 1
    head, line = done.out.splitlines()
    commit = repo.git("rev-parse", "--short=12", "refs/heads/relay/s")
    assert head.split() == ["CODE", "WHERE", "COMMIT", "FOUND"]
    assert line.split()[:3] == ["trailers", "s/02", commit]
    assert "Relay-Verify is 'fail'; the message says pass" in line and f"git show {commit}" in line


def test_hostile_words_in_a_finding_move_no_cursor(repo: Repo) -> None:
    repo.sh(SHELL + "tip $res; redo 's/^\\(res .*\\)/\\1\\x1b[2J/'")
    done = repo.relay("fsck", "s")
    assert done.code == 1 and "\x1b" not in done.out and "subject" in done.out


def test_much_damage_at_once_is_findings_too(repo: Repo) -> None:
    """git ends at some kinds of damage, is not told of others, and leaves refs out that it cannot read."""
    repo.sh(
        SHELL + "damage $b:01.req.md; damage $b:01.res.md; damage relay/late; damage relay/waiting^{tree}\n"
        "chmod u+w $(object relay/auth-refactor:01.req.md); : >$(object relay/auth-refactor:01.req.md)"
    )
    found = {(f["code"][:6], f["address"]) for f in fsck(repo)}
    assert found == {
        ("object", "s/01"),
        ("object", "late"),
        ("object", "waiting/01"),
        ("object", "auth-refactor/01"),
    }


def test_trees_that_a_clone_was_never_given_are_no_findings(repo: Repo, tmp_path: Path) -> None:
    repo.sh('git clone -q --bare "file://$PWD" ../clone.git')
    done = Repo(tmp_path / "clone.git", repo.env).relay("fsck")
    assert done.code == 0, done.out
    assert "not in this clone" in done.err


@pytest.mark.parametrize("format_", ["sha1", "sha256"])
def test_every_kind_of_repository(tmp_path: Path, env: dict[str, str], format_: str) -> None:
    (tmp_path / "r \u00e9").mkdir()
    repo = Repo(tmp_path / "r \u00e9", env)
    repo.sh(f"git init -q --object-format={format_}")
    assert fsck(repo) == []
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert fsck(repo) == []
    assert codes(repo, "--require-signed") == {"unsigned"}
    repo.sh("git gc -q")
    assert fsck(repo) == []
    repo.sh("b=refs/heads/relay/s; git update-ref $b $(git commit-tree -p $b -m x $b^{tree})")
    assert codes(repo) == {"one-file"}


def test_an_unknown_session_is_a_usage_error(repo: Repo) -> None:
    assert repo.relay("fsck", "nothing").code == 2
    assert repo.relay("fsck", "No_Slug").code == 2
    assert repo.relay("fsck", "--allowed-signers", "app.py").code == 2
    assert repo.relay("fsck", "--objects", ".").code == 2


def test_nothing_is_written(repo: Repo) -> None:
    before = repo.sh(
        "find . -type f -newer app.py | sort; git for-each-ref; find .git -type f | sort | xargs cat | sum"
    )
    assert repo.relay("fsck").code == 0
    after = repo.sh("find . -type f -newer app.py | sort; git for-each-ref; find .git -type f | sort | xargs cat | sum")
    assert before == after


def make_history(folder: Path, env: dict[str, str], *args: str) -> Repo:
    words = [sys.executable, str(ROOT / "benchmarks/make_history.py"), str(folder), *args]
    subprocess.run(words, check=True, env={**env, "PYTHONPATH": str(ROOT)}, timeout=60)
    return Repo(folder, env)


def test_the_number_of_git_processes_does_not_grow_with_the_history(tmp_path: Path, env: dict[str, str]) -> None:
    real = shutil.which("git")
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho x >>"$COUNTED"\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    counts = []
    for sessions in (3, 40):
        repo = make_history(tmp_path / f"h{sessions}", env, "--sessions", str(sessions), "--exchanges", "4")
        log = tmp_path / f"count{sessions}"
        path = {"PATH": f"{wrapper.parent}:{env['PATH']}", "COUNTED": str(log)}
        done: Done = repo.relay("fsck", env=path)
        assert done.code == 0, done.out
        assert f"{sessions} sessions, {sessions * 4} exchanges" in done.err
        counts.append(len(log.read_text().splitlines()))
    assert counts[0] == counts[1] <= 20


def test_many_sessions_are_read_by_several_processes(tmp_path: Path, env: dict[str, str]) -> None:
    repo = make_history(tmp_path / "many", env, "--sessions", "120", "--exchanges", "1")
    repo.sh(
        "b=$(git for-each-ref --format='%(refname)' refs/heads/relay | head -n 1)\n"
        "git update-ref $b $(git commit-tree -p $b -m 'by hand' $b^{tree}); git init -q --bare ../witness.git"
    )
    done = repo.relay("fsck", "--json", "--witness", "../witness.git")
    assert done.code == 1, done.err
    data = done.json["data"]
    assert (data["sessions"], data["exchanges"]) == (120, 120)
    assert [finding["code"] for finding in data["findings"]] == ["one-file"]


# -- the witness ------------------------------------------------------------------------------------


@pytest.fixture
def pushed(repo: Repo) -> Repo:
    """The copy, and beside it a bare repository `../witness.git` that its sessions were pushed to."""
    repo.sh("git init -q --bare ../witness.git; git remote add origin ../witness.git")
    repo.sh("git push -q origin 'refs/heads/relay/*:refs/heads/relay/*'")
    return repo


def test_what_goes_on_from_the_witness_is_sound(pushed: Repo) -> None:
    assert fsck(pushed, "--witness", "origin") == []
    assert pushed.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert pushed.relay("archive", "late").code == 0
    assert fsck(pushed, "--witness", "origin") == []
    assert fsck(pushed, "--witness", "../witness.git", "s") == []


@pytest.mark.parametrize(
    ("code", "script"),
    [
        ("witness-rewritten", "tip $res; redo 's/^author shell/author  shell/; s/^committer .*>/committer x <y>/'"),
        ("witness-behind", "tip $end~3"),
        ("witness-missing", "git update-ref -d $b"),
    ],
)
def test_what_was_rewritten_is_told_by_the_witness(pushed: Repo, code: str, script: str) -> None:
    pushed.sh(SHELL + script)
    assert code == "witness-missing" or codes(pushed, "s") <= {"author", "committer", "code-ref"}
    (finding,) = [f for f in fsck(pushed, "--witness", "origin") if f["code"].startswith("witness")]
    assert (finding["code"], finding["address"]) == (code, "s")
    assert "git fetch origin refs/heads/relay/s" in finding["hint"]
    assert codes(pushed, "--witness", "origin", "old", "late") == set()


@pytest.mark.parametrize("where", ["behind", "diverged"])
def test_a_witness_with_commits_that_are_not_here_is_read_without_a_trace(pushed: Repo, where: str) -> None:
    """Somebody else pushed a turn; here the session stands still, or goes on in another way."""
    pushed.sh(
        "git clone -q ../witness.git ../other; cd ../other; git fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*'"
    )
    other = Repo(pushed.path.parent / "other", pushed.env)
    assert other.relay("req", "--to", "shell", "--session", "s", "echo elsewhere").code == 0
    other.sh("git push -q origin relay/s")
    if where == "diverged":
        assert pushed.relay("req", "--to", "shell", "--session", "s", "echo here").code == 0
    look = "git for-each-ref; find .git -type f | grep -v '^.git/relay/' | sort | xargs cat | sum"
    before = pushed.sh(look)
    (finding,) = fsck(pushed, "--witness", "origin")
    assert finding["code"] == ("witness-behind" if where == "behind" else "witness-rewritten")
    assert pushed.sh(look) == before
    if where == "behind":
        pushed.sh(finding["hint"])
        assert fsck(pushed, "--witness", "origin") == []


@pytest.mark.parametrize("witness", ["nowhere", "../nothing.git", "--upload-pack=touch x"])
def test_a_witness_that_cannot_be_read_is_one_line(repo: Repo, witness: str) -> None:
    done = repo.relay("fsck", f"--witness={witness}")
    assert done.code == 4 and done.err.count("\n") == 1 and "cannot be read" in done.err
    assert not (repo.path / "x").exists()
