"""Calls in a working tree of their own: what the peer does there, and what the caller's tree keeps."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from support.repo import GIT_RELAY, Done, Repo
from support.soak import rounds
from support.waiting import eventually, patient

SHELL = ("req", "--from", "uma", "--to", "shell")
ALONE = (*SHELL, "--isolate")


def state(repo: Repo) -> dict[str, object]:
    """Every file of the caller's, its bytes and its time, and what git says."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(repo.path):
        folders[:] = [name for name in folders if name not in (".git", ".relay")]
        for name in names:
            path = Path(folder) / name
            data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[str(path)] = (hashlib.sha256(data).hexdigest(), path.lstat().st_mtime_ns)
    found["git"] = repo.sh("git status --porcelain=v2; git stash list; git config --local --list; ls .git/hooks")
    found["refs"] = repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/tags")
    return found


def reads(repo: Repo, session: str, script: str) -> Done:
    """An isolated call with read access to a peer that runs `script`."""
    program = repo.path.parent / "reader.sh"
    program.write_text(f"cat > /dev/null\n{script}\n")
    repo.git("config", "relay.q.command", f"sh {program} {{access}}")
    repo.git("config", "relay.q.plain", "true")
    return repo.relay(
        "req", "--from", "uma", "--to", "q", "--isolate", "--access", "read", "--session", session, "look"
    )


def said(repo: Repo, session: str, key: str) -> list[str]:
    return repo.git(
        "log", "--reverse", f"--format=%(trailers:key={key},valueonly,separator=)", f"relay/{session}"
    ).split()


def test_what_an_isolated_call_does_stays_in_its_workspace_until_it_is_applied(repo: Repo) -> None:
    repo.sh("printf 'a\\nb\\n' > f.txt; git add .; git commit -qm f; echo mine >> f.txt; echo n > new.txt; git tag v1")
    before = state(repo)
    does = (
        "set -e; git diff | grep -q '^+mine'; cat new.txt; echo peer > peer.txt; rm new.txt; git stash -q -u;"
        " git stash pop -q; git config user.name x; git tag -d v1; git commit -qam theirs; pwd"
    )
    done = repo.relay(*ALONE, "--session", "s", "--check", "test -f peer.txt && ! test -f new.txt", "--", does)
    assert done.code == 0, done.out + done.err
    workspace = repo.path / ".relay/.work/s"
    assert str(workspace) in done.out and workspace.is_dir()
    assert state(repo) == before
    assert said(repo, "s", "Relay-Workspace") == ["isolated", "isolated"]
    assert repo.relay("show", "s/01", "--json").json["data"][0]["workspace"] == "isolated"
    changed = repo.relay("diff", "s/01", "--json").json["data"]["files"]
    assert [(one["state"], one["path"]) for one in changed] == [("D", "new.txt"), ("A", "peer.txt")]
    trees = said(repo, "s", "Relay-Tree")
    assert len(trees) == 3 and trees[1] == trees[2] != trees[0]
    assert repo.relay("fsck").code == 0
    # the caller goes on, and the next turn of the session too
    again = repo.relay(*SHELL, "--isolate", "--session", "s", "cat peer.txt .relay/s/01.res.md")
    assert again.code == 0 and "peer" in again.out and "status: done" in again.out
    assert repo.relay("apply", "s/01").code == 0
    assert (repo.path / "peer.txt").exists() and not (repo.path / "new.txt").exists()
    assert repo.relay("close", "s").code == 0
    assert not workspace.exists() and not repo.git("for-each-ref", "refs/relay/workspaces")
    assert list((repo.path / ".git/relay/workspaces").iterdir()) == []


def test_a_one_shot_leaves_no_workspace(repo: Repo) -> None:
    done = repo.relay(*ALONE, "--name", "once", "echo x > x.txt; echo y >> app.py")
    assert done.code == 0, done.err
    assert list((repo.path / ".relay/.work").iterdir()) == []
    assert repo.git("status", "--porcelain") == ""
    name = repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads/relay").removeprefix("relay/")
    assert {row["path"] for row in repo.relay("diff", name, "--json").json["data"]["files"]} == {"x.txt", "app.py"}


def test_nothing_that_the_peer_configures_in_its_git_runs_or_hides_a_change(repo: Repo) -> None:
    marker = repo.path.parent / "ran"
    evil = f"""
        printf '#!/bin/sh\\ntouch {marker}\\nexit 1\\n' > ../evil.sh; chmod +x ../evil.sh
        echo '*' > .git/info/exclude; git update-index --assume-unchanged app.py; echo changed >> app.py
        rm -f .relay/.gitignore; echo new > new.txt; echo '* filter=x' > .gitattributes
        printf '[core]\n fsmonitor = %s\n hooksPath = %s\n worktree = {repo.path}\n[filter "x"]\n clean = %s\n' \
            "$PWD/../evil.sh" "$PWD/.." "$PWD/../evil.sh" > .git/config
    """
    for session, hostile in (("s", evil), ("t", evil + "rm -rf .git; echo 'gitdir: /nowhere' > .git")):
        done = repo.relay(*ALONE, "--session", session, "--", hostile)
        assert done.code == 0, done.out
        assert not marker.exists()
        changed = repo.relay("diff", f"{session}/01", "--json").json["data"]["files"]
        assert {one["path"] for one in changed} == {".gitattributes", "app.py", "new.txt"}
    assert repo.git("status", "--porcelain") == ""


def test_a_reader_in_a_workspace_is_not_accused_for_a_person_who_saves_files(repo: Repo) -> None:
    caller = repo.path
    saved = reads(repo, "person", f"cat app.py; echo person >> {caller}/app.py; echo new > {caller}/n.txt")
    assert saved.code == 0, saved.out
    assert said(repo, "person", "Relay-Sandbox") == ["unknown"]
    assert "changed app.py" in repo.git("log", "-1", "--format=%b", "relay/person")
    wrote = reads(repo, "wrote", "echo x > x.txt")
    assert wrote.code == 4 and said(repo, "wrote", "Relay-Sandbox") == ["violated"]
    assert "new x.txt in its workspace" in wrote.out
    config = reads(repo, "config", f"git -C {caller} config alias.x y")
    assert config.code == 4 and said(repo, "config", "Relay-Sandbox") == ["violated"]
    held = reads(repo, "held", "git status; cat app.py")
    assert held.code == 0 and "person" in held.out and said(repo, "held", "Relay-Sandbox") == ["held"]


def test_calls_from_a_workspace_are_recorded_with_the_caller(repo: Repo) -> None:
    relay = " ".join(GIT_RELAY)
    inner = (
        f"echo inner >> app.py; {relay} req --from shell --to shell --session inner 'pwd; echo y > y.txt; cat app.py'"
    )
    done = repo.relay(*ALONE, "--session", "outer", "--", inner)
    assert done.code == 0, done.out + done.err
    assert str(repo.path / ".relay/.work/outer") in done.out
    assert repo.relay("diff", "inner/01", "--json").json["data"]["files"][0]["path"] == "y.txt"
    assert {one["path"] for one in repo.relay("diff", "outer/01", "--json").json["data"]["files"]} == {
        "app.py",
        "y.txt",
    }
    deep = f"{relay} req --from shell --to shell --isolate --session deep 'echo z > z.txt; pwd'; test ! -f z.txt"
    done = repo.relay(*ALONE, "--session", "outer", "--", deep)
    assert done.code == 0 and "/.relay/.work/outer/.relay/.work/deep" in done.out, done.out
    assert repo.relay("close", "inner", "deep", "outer").code == 0
    assert not (repo.path / ".relay/.work/outer").exists()
    assert repo.relay("fsck").code == 0 and repo.git("status", "--porcelain") == ""


def test_submodules_and_nested_repositories_in_a_workspace(repo: Repo) -> None:
    repo.sh("""
        git init -q ../lib; cd ../lib; echo 1 > l.txt; git add .; git commit -qm l; cd -
        git -c protocol.file.allow=always submodule add -q "$PWD/../lib" sub; git commit -qm sub
    """)
    does = "echo 2 >> sub/l.txt; git -C sub config core.fsmonitor false; git init -q empty; git init -q n; cd n;"
    does += " echo x > x; git add x; git -c user.name=a -c user.email=b commit -qm x"
    done = repo.relay(*ALONE, "--session", "s", "--", does)
    assert done.code == 0, done.out
    changed = {one["path"] for one in repo.relay("diff", "s/01", "--json").json["data"]["files"]}
    assert {"sub/l.txt", "n"} <= changed
    assert repo.git("status", "--porcelain") == "" and repo.git("-C", "sub", "status", "--porcelain") == ""
    nothing = repo.relay(*ALONE, "--session", "t", "--", "true")
    assert nothing.code == 0 and repo.relay("diff", "t/01", "--json").json["data"]["files"] == []


def test_a_workspace_survives_gc_and_a_workspace_that_is_removed_ends_its_call(repo: Repo) -> None:
    repo.sh("echo 2 > two.txt; git add .; git commit -qm two; echo staged > st.txt; git add st.txt")
    gone = f"git -C {repo.path} reset -q --hard HEAD~1; git -C {repo.path} reflog expire --expire=now --all;"
    gone += f" git -C {repo.path} gc -q --prune=now; git show HEAD:two.txt; git cat-file -e :st.txt; git fsck --strict"
    done = repo.relay(*ALONE, "--session", "s", "--", gone)
    assert done.code == 0, done.out
    assert repo.relay("diff", "s/01", "--json").json["data"]["files"] == []
    lost = repo.relay(*ALONE, "--session", "u", "--", f"rm -rf {repo.path}/.relay/.work; echo done")
    assert lost.code in (0, 4), lost.err
    assert repo.relay("show", "u/01").code == 0 and repo.relay("fsck").code == 0
    assert said(repo, "u", "Relay-Tree")[:1] and repo.relay(*ALONE, "--session", "u", "cat app.py").code == 0


def test_eight_writers_on_one_file_each_have_their_own_lines(repo: Repo) -> None:
    repo.sh("printf 'a\\nb\\nc\\n' > f.txt; git add .; git commit -qm f")
    before = state(repo)
    started = [
        repo.start(
            *ALONE, "--session", f"w{n}", "--", f"echo {n} >> f.txt; until test -f ../../../go; do sleep 0.05; done"
        )
        for n in range(8)
    ]
    places = [repo.path / f".relay/.work/w{n}/f.txt" for n in range(8)]
    assert eventually(lambda: all(p.exists() and p.read_text().count("\n") == 4 for p in places))
    assert state(repo) == before
    (repo.path / ".relay" / "go").touch()
    (repo.path / "go").touch()
    for one in started:
        out, _ = one.communicate(timeout=patient(120))
        assert one.returncode == 0, out
    (repo.path / "go").unlink()
    for n in range(8):
        shown = repo.relay("diff", f"w{n}/01").out
        assert [line for line in shown.splitlines() if line[:1] in "+-" and line[:2] not in ("++", "--")] == [f"+{n}"]
    assert state(repo) == before


@pytest.mark.parametrize(
    ("setting", "access", "words", "expected"),
    [
        ("read", "read", (), "isolated"),
        ("read", "write", (), "shared"),
        ("read", "read", ("--shared",), "shared"),
        ("always", "write", (), "isolated"),
    ],
)
def test_the_setting_decides_unless_the_command_does(
    repo: Repo, setting: str, access: str, words: tuple[str, ...], expected: str
) -> None:
    repo.git("config", "relay.isolate", setting)
    repo.git("config", "relay.q.command", "sh -c 'echo done {access}'")
    repo.git("config", "relay.q.plain", "true")
    assert (
        repo.relay("req", "--from", "uma", "--to", "q", "--access", access, *words, "--session", "s", "true").code == 0
    )
    assert said(repo, "s", "Relay-Workspace") == [expected, expected]


def test_a_reader_is_isolated_by_default(repo: Repo) -> None:
    repo.git("config", "relay.q.command", "sh -c 'echo done {access}'")
    repo.git("config", "relay.q.plain", "true")
    for access, expected in (("read", "isolated"), ("write", "shared")):
        asked = ("req", "--from", "uma", "--to", "q", "--access", access, "--session", access, "look")
        assert repo.relay(*asked, env={"GIT_CONFIG_GLOBAL": os.devnull}).code == 0
        assert said(repo, access, "Relay-Workspace") == [expected, expected]
    repo.git("config", "relay.isolateMax", "0")
    asked = ("req", "--from", "uma", "--to", "q", "--access", "read", "--session", "big", "look")
    shared = repo.relay(*asked, env={"GIT_CONFIG_GLOBAL": os.devnull})
    assert "relay.isolateMax" in shared.err and said(repo, "big", "Relay-Workspace") == ["shared", "shared"]


def test_a_bad_setting_is_refused(repo: Repo) -> None:
    repo.git("config", "relay.isolate", "sometimes")
    done = repo.relay(*SHELL, "true")
    assert done.code == 2 and "sometimes" in done.err and "read, write, always" in done.err
    repo.git("config", "relay.isolate", "always")
    repo.git("config", "relay.isolateMax", "0")
    assert repo.relay(*SHELL, "--session", "big", "true").code == 0
    assert said(repo, "big", "Relay-Workspace") == ["shared", "shared"]
    assert repo.relay(*ALONE, "--session", "told", "true").code == 0
    assert said(repo, "told", "Relay-Workspace") == ["isolated", "isolated"]
    assert subprocess.run(["git", "status"], cwd=repo.path, env=dict(repo.env), capture_output=True).returncode == 0


def test_a_person_who_saves_files_during_many_reads_accuses_nobody(repo: Repo) -> None:
    reads = rounds(4, 10)
    program = repo.path.parent / "reader.sh"
    go = repo.path.parent / "go"
    # a copy that is made in the middle of a save may hold an empty file; what says nothing is no answer
    program.write_text(f"cat > /dev/null; cat app.py; echo seen; until test -f {go}; do sleep 0.05; done\n")
    writer = repo.path.parent / "writer.sh"
    writer.write_text(f"cat > /dev/null; echo peer >> app.py; until test -f {go}; do sleep 0.05; done; echo done\n")
    for name, script in (("q", program), ("w", writer)):
        repo.git("config", f"relay.{name}.command", f"sh {script} {{access}}")
        repo.git("config", f"relay.{name}.plain", "true")
    asked = ("req", "--from", "uma", "--isolate", "--access", "read", "look")
    started = [repo.start(*asked, "--to", "q", "--session", f"r{n}") for n in range(reads)]
    started.append(repo.start(*asked, "--to", "w", "--session", "writes"))
    sessions = [*(f"r{n}" for n in range(reads)), "writes"]
    saved = 0

    def all_run() -> bool:
        nonlocal saved
        saved += 1
        (repo.path / "app.py").write_text(f"print({saved})\n")
        (repo.path / f"saved{saved}.txt").write_text("x\n")
        return {one["address"].partition("/")[0] for one in repo.relay("status", "--json").json["data"]} == set(
            sessions
        ) and saved > 3

    assert eventually(all_run)
    go.touch()
    ends = [(one.communicate(timeout=patient(120)), one.returncode) for one in started]
    assert [code for _, code in ends] == [0] * reads + [4], ends
    assert {word for session in sessions[:-1] for word in said(repo, session, "Relay-Sandbox")} <= {"unknown", "held"}
    assert said(repo, "writes", "Relay-Sandbox") == ["violated"]
    assert (repo.path / "app.py").read_text() == f"print({saved})\n"
    assert repo.relay("fsck").code == 0
