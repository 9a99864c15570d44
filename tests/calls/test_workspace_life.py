"""How a workspace begins and ends: what is included, what is set up, what a crash leaves, what brings back."""

from __future__ import annotations

import os
import signal

import psutil

from support.repo import Repo
from support.waiting import eventually, patient

ALONE = ("req", "--from", "uma", "--to", "shell", "--isolate")


def test_ignored_files_are_included_as_the_settings_say(repo: Repo) -> None:
    repo.sh("""
        printf '.env\\ncache/\\nbuild/\\nvenv\\n' > .gitignore; printf '.env\\n' > .worktreeinclude
        git add .; git commit -qm i; echo s=1 > .env; mkdir -p cache build; echo c > cache/c; echo b > build/b
        ln -s "$PWD/.." venv; printf '.env\\nbuild/\\n' > .worktreeinclude
    """)
    repo.git("config", "--add", "relay.include", "cache/")
    repo.git("config", "--add", "relay.include", "venv")
    repo.git("config", "relay.setup", 'echo "$GITRELAY_CALLER_TOP" > made.txt; pwd')
    done = repo.relay(*ALONE, "--session", "s", "cat .env cache/c made.txt; ls; ls -a venv build || true")
    assert done.code == 0, done.out
    assert f"s=1\nc\n{repo.path}\n" in done.out and "cannot access 'build'" in done.out
    assert "cannot access 'venv'" in done.out and "a link that leads out of the tree" in done.err
    assert repo.relay("diff", "s/01", "--json").json["data"]["files"] == []
    assert not (repo.path / "made.txt").exists()
    repo.git("config", "relay.setup", "echo no; exit 3")
    failed = repo.relay(*ALONE, "--session", "t", "true")
    assert failed.code != 0 and "relay.setup failed in the workspace: exit 3" in failed.err
    assert "no\n" in (repo.path / ".git/relay/logs/t.setup").read_text()
    assert not (repo.path / ".relay/.work/t").exists() and repo.git("branch", "--list", "relay/t") == ""


def test_ctrl_c_ends_the_set_up_and_leaves_no_workspace(repo: Repo) -> None:
    pid = repo.path.parent / "pid"
    repo.git("config", "relay.setup", f"sleep 600 & echo $! > {pid}; wait")
    started = repo.start(*ALONE, "--session", "s", "true")
    assert eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    started.send_signal(signal.SIGINT)
    assert started.wait(patient(60)) == 130
    started.communicate()
    assert eventually(lambda: not psutil.pid_exists(int(pid.read_text())))
    assert not (repo.path / ".relay/.work/s").exists() and list((repo.path / ".git/relay/workspaces").iterdir()) == []
    assert repo.git("for-each-ref", "refs/relay", "refs/heads/relay") == ""


def test_what_leads_back_to_the_callers_tree_is_dropped_or_named(repo: Repo) -> None:
    repo.sh("""
        mkdir -p bin venv/bin venv/lib/python3/site-packages; printf 'venv/\\n' > .gitignore
        printf '#!/bin/sh\\nexit 0\\n' > bin/tool; cp bin/tool venv/bin/py; chmod +x bin/tool venv/bin/py
        touch venv/pyvenv.cfg; echo "$PWD/src" > venv/lib/python3/site-packages/e.pth; git add .; git commit -qm t
    """)
    top = repo.path
    path = os.pathsep.join([f"{top}/bin", f"{top}/venv/bin", repo.env["PATH"]])
    env = {"PATH": path, "VIRTUAL_ENV": f"{top}/venv", "PYTHONPATH": f"{top}/src:/elsewhere"}
    asked = (*ALONE, "--session", "s", "--check", "tool", "--check", f"{top}/bin/tool")
    done = repo.relay(*asked, "echo $PATH; echo v=$VIRTUAL_ENV; echo p=$PYTHONPATH", env=env)
    assert f"{top}/.relay/.work/s/bin:" in done.out and f"{top}/venv" not in done.out
    assert "v=\n" in done.out and "p=/elsewhere\n" in done.out
    assert done.code == 1 and "in the caller's tree" in repo.git("show", "relay/s:01.check-2.md")
    checks = repo.relay("show", "s/01", "--json").json["data"][0]["checks"]
    assert [check["result"] for check in checks] == ["pass", "lost"]
    repo.git("config", "relay.include", "venv/")
    done = repo.relay(*ALONE, "--session", "e", "--check", "py", "true", env=env)
    assert done.code == 1 and f"{top}/src, in the caller's tree" in repo.git("show", "relay/e:01.check.md")


def test_what_a_kill_left_is_removed_by_the_next_command(repo: Repo) -> None:
    assert repo.relay(*ALONE, "--session", "s", "true").code == 0
    note = repo.path / ".git/relay/workspaces/s"
    note.write_text(note.read_text().replace('"ready"', '"making"'))
    assert repo.relay("status").code == 0
    assert not (repo.path / ".relay/.work/s").exists() and not note.exists()
    assert repo.git("for-each-ref", "refs/relay/workspaces") == ""
    # without the folder of this machine's state
    assert repo.relay(*ALONE, "--session", "s", "true").code == 0
    repo.sh("rm -rf .git/relay")
    assert repo.relay(*ALONE, "--session", "s", "cat app.py").code == 0
    assert "workspaces" in repo.relay("doctor", "--json").out
    assert repo.relay("archive", "s").code == 0
    assert not (repo.path / ".relay/.work/s").exists()


def test_a_workspace_is_not_removed_through_a_link(repo: Repo) -> None:
    assert repo.relay(*ALONE, "--session", "s", "true").code == 0
    repo.sh("mkdir -p ../victim/s; echo keep > ../victim/s/keep.txt; mv .relay/.work ../moved")
    repo.sh("ln -s ../../victim .relay/.work")
    closed = repo.relay("close", "s")
    assert closed.code != 0 and "is not the folder that gitrelay made" in closed.err
    assert repo.sh("cat ../victim/s/keep.txt") == "keep\n"
    assert repo.relay("status").code == 0 and repo.sh("cat ../victim/s/keep.txt") == "keep\n"
    repo.sh("rm .relay/.work; mv ../moved .relay/.work; chmod 0555 .relay/.work/s")
    assert repo.relay("close", "s").code == 0 and not (repo.path / ".relay/.work/s").exists()


def test_the_next_turn_gets_what_the_caller_changed_meanwhile(repo: Repo) -> None:
    repo.sh("printf 'a\\nb\\nc\\nd\\ne\\n' > f.txt; echo x > g.txt; git add .; git commit -qm f")
    turn = (*ALONE, "--session", "s")
    assert repo.relay(*turn, "sed -i s/a/A/ f.txt; echo p > p.txt").code == 0
    repo.sh("sed -i s/e/E/ f.txt; rm g.txt; git commit -qam mine; echo u > u.txt")
    second = repo.relay(*turn, "cat f.txt p.txt u.txt; ls g.txt || true; sed -i s/c/C/ f.txt")
    assert second.code == 0 and "A\nb\nc\nd\nE\np\nu\n" in second.out and "No such file" in second.out
    changed = repo.relay("diff", "s/02").out
    assert "+C" in changed and "+E" not in changed and "u.txt" not in changed
    assert repo.relay("fsck").code == 0
    repo.sh("sed -i s/b/mine/ f.txt")
    assert repo.relay(*turn, "sed -i s/b/theirs/ f.txt").code == 1  # next to a line of the peer's
    assert repo.relay(*turn, "--fresh", "cat f.txt; sed -i s/mine/theirs/ f.txt").code == 0
    repo.sh("sed -i s/mine/other/ f.txt")
    refused = repo.relay(*turn, "true")
    assert refused.code == 1 and "f.txt" in refused.err and "--keep theirs" in refused.err and "--fresh" in refused.err
    kept = repo.relay(*turn, "--keep", "theirs", "cat f.txt")
    assert kept.code == 0 and "theirs" in kept.out and "other" not in kept.out
    assert repo.relay(*turn, "cat f.txt").code == 0  # not asked again
    assert "other" in repo.sh("cat f.txt") and repo.relay("fsck").code == 0


def test_a_file_that_the_request_names_is_there_though_git_ignores_it(repo: Repo) -> None:
    repo.sh("printf 'logs/\\n.claude/\\n' > .gitignore; git add .; git commit -qm i; mkdir logs .claude")
    repo.sh("echo seen > logs/a.log; echo other > logs/b.log; echo '{}' > .claude/settings.local.json")
    repo.git("config", "relay.q.command", "sh -c 'cat > ../said; cat logs/*; ls .claude' {access}")
    repo.git("config", "relay.q.plain", "true")
    asked = ("req", "--from", "uma", "--to", "q", "--isolate", "--access", "read", "--session", "s")
    done = repo.relay(*asked, "--file", "logs/a.log", "look")
    assert done.code == 0 and "seen" in done.out and "other" not in done.out and "settings.local.json" in done.out
    assert not (repo.path / ".relay/.work/s").exists()  # a reader's workspace goes with its call
    trailers = repo.git("log", "-1", "--format=%(trailers:key=Relay-Sandbox,valueonly)", "relay/s").strip()
    assert trailers == "held"
