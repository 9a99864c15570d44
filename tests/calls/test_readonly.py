"""Read access is proved: what a peer changes although it must not is seen, named, and ends the call."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from gitrelay.calls import readonly
from gitrelay.git.repository import Repository
from support.model_server import Answer, ModelServer, Shell, Step, Write
from support.realcli import claude_env, codex_env, require
from support.repo import BIN, Repo

READ = ("req", "--from", "uma", "--session", "s", "--access", "read")


def peer(repo: Repo, script: str) -> None:
    """A configured peer that runs `script` in the working tree and answers."""
    program = repo.path.parent / "peer.sh"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\necho my answer\n")
    program.chmod(0o755)
    repo.git("config", "relay.reader.command", f"{program} {{access}}")
    repo.git("config", "relay.reader.plain", "true")


def sandbox(repo: Repo) -> str:
    return repo.git("log", "-1", "--format=%(trailers:key=Relay-Sandbox,valueonly)", "relay/s").strip()


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("echo x >> app.py", "changed app.py"),
        ("touch -r app.py ../stamp; echo 'print(2)' > app.py; touch -r ../stamp app.py", "changed app.py"),
        ("rm app.py", "deleted app.py"),
        ("echo x > new.txt", "new new.txt"),
        ("mkdir -p empty", "new empty/"),
        ("chmod +x app.py", "changed app.py"),
        ("echo x > ignored.log", "changed ignored.log"),
        ("echo x > build/deep/cache", "new build/deep/cache"),
        ("ln -sf /etc/passwd link", "changed link"),
        ("git add other.txt", "the index"),
        ("git branch sneaky", "new refs/heads/sneaky"),
        ("git tag v1", "new refs/tags/v1"),
        ("git checkout -q --detach", "HEAD"),
        ("git config core.pager evil", ".git/config"),
        ("echo 'exit 0' > .git/hooks/pre-push", ".git/hooks/pre-push"),
    ],
)
def test_a_change_under_read_access_is_named(repo: Repo, script: str, named: str) -> None:
    repo.sh("printf '*.log\\nbuild/\\n' > .gitignore; echo a > ignored.log; mkdir -p build/deep; ln -s app.py link")
    repo.sh("echo other > other.txt; mkdir -p .git/hooks")
    peer(repo, script)
    done = repo.relay(*READ, "--to", "reader", "look only")
    assert done.code == 4, done.out
    assert sandbox(repo) == "violated"
    assert "reason: sandbox" in done.out and named in done.out and "my answer" in done.out


def test_nothing_changed_is_held(repo: Repo) -> None:
    repo.sh("echo untracked > u.txt; git update-index --refresh")
    peer(repo, "cat app.py; git status > /dev/null; git log > /dev/null")
    done = repo.relay(*READ, "--to", "reader", "look only")
    assert done.code == 0, done.out
    assert sandbox(repo) == "held"


def test_a_peer_that_may_write_is_not_watched(repo: Repo) -> None:
    peer(repo, "echo x >> app.py")
    assert repo.relay("req", "--session", "s", "--to", "reader", "edit").code == 0
    assert sandbox(repo) == ""


def test_beside_a_call_that_may_write_nobody_can_tell(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "writer", "-d", "sleep 60").code == 0
    peer(repo, "echo x >> app.py")
    done = repo.relay(*READ, "--to", "reader", "look only")
    assert done.code == 0, done.out
    assert sandbox(repo) == "unknown"
    assert repo.relay("cancel", "writer/01").code == 0


def environment_of(name: str, home: Path, url: str) -> dict[str, str]:
    require(name)
    env = {"codex": codex_env, "claude": claude_env}[name](home, url)
    return {**env, "PATH": f"{BIN}:{env['PATH']}"}


@pytest.mark.realcli
@pytest.mark.parametrize("name", ["codex", "claude"])
def test_the_real_read_only_modes_hold(name: str, repo: Repo, tmp_path: Path) -> None:
    steps: list[Step] = [
        Shell("touch sneaky; echo x >> app.py"),
        Write(str(repo.path / "new.txt"), "x\n"),
        Answer(body="looked"),
    ]
    with ModelServer(steps) as model:
        env = environment_of(name, tmp_path / "peer", model.url)
        done = repo.relay(*READ, "--to", name, "look only", env=env)
    assert done.code == 0, done.out
    assert sandbox(repo) == "held"
    assert repo.git("status", "--porcelain") == ""


def test_a_codex_that_cannot_make_its_sandbox_is_named(repo: Repo, tmp_path: Path) -> None:
    line = "bwrap: No permissions to create a new namespace, likely because the kernel does not allow it"
    fake = tmp_path / "bin/codex"
    fake.parent.mkdir()
    fake.write_text(f"""#!/bin/sh
[ "$1" = --version ] && echo "codex-cli 0.169.0" && exit
cat > /dev/null
echo '{{"type":"thread.started","thread_id":"01a1fcec-4a1c"}}'
echo '{{"type":"item.completed","item":{{"type":"command_execution","aggregated_output":"{line}","exit_code":1}}}}'
echo '{{"type":"item.completed","item":{{"type":"agent_message","text":"I could not run anything."}}}}'
echo '{{"type":"turn.completed","usage":{{}}}}'
""")
    fake.chmod(0o755)
    done = repo.relay(*READ, "--to", "codex", "run the tests", env={"PATH": f"{fake.parent}:{repo.env['PATH']}"})
    assert done.code == 4 and "reason: sandbox" in done.out
    assert line in done.out and "I could not run anything." in done.out


@pytest.mark.realcli
@pytest.mark.parametrize("access", ["read", "write"])
def test_the_real_codex_without_user_namespaces_is_named(repo: Repo, tmp_path: Path, access: str) -> None:
    """As in many containers: codex itself ends with exit code 0, and every command has failed."""
    without = "unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"' sh"
    if subprocess.run(["sh", "-c", f"{without} true"], capture_output=True, timeout=20).returncode:
        pytest.skip("this machine cannot make user namespaces, so it cannot take them away: codex unchecked there")
    with ModelServer([Shell("echo x > new.txt"), Answer(body="I could not run anything.")]) as model:
        env = environment_of("codex", tmp_path / "peer", model.url)
        codex = tmp_path / "bin/codex"
        codex.parent.mkdir()
        codex.write_text(f'#!/bin/sh\nexec {without} {shlex.quote(str(require("codex")))} "$@"\n')
        codex.chmod(0o755)
        options = ("--session", "s", "--access", access, "--to", "codex")
        done = repo.relay("req", *options, "write it", env={**env, "PATH": f"{codex.parent}:{env['PATH']}"})
    assert done.code == 4 and "reason: sandbox" in done.out, done.out
    assert "bwrap: " in done.out and "I could not run anything." in done.out
    assert repo.git("status", "--porcelain") == ""


def test_a_worktree_that_git_has_just_begun_to_add_is_nobodys(repo: Repo) -> None:
    """Another session may be opened at any time."""
    found = Repository.open(repo.path)
    before = readonly.take(found)
    begun = repo.path / ".git/worktrees/other"
    begun.mkdir(parents=True)
    (begun / "locked").write_text("initializing\n")
    after = readonly.take(found)
    assert not before.fault and not readonly.compare(found, before, after, "s")
    (begun / "gitdir").write_text(f"{repo.path.parent}/linked/.git\n")
    assert readonly.compare(found, before, readonly.take(found), "s")
