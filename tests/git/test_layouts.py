"""What git, the environment and other tools may have set up: a call works in it, or says what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.ledgercheck import assert_sound
from support.repo import Repo

SHELL = ("req", "--from", "uma", "--to", "shell", "--session", "s")


def refuses(repo: Repo, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command says that ends with exit 2, in one line, and leaves nothing behind."""
    before = sorted(os.listdir(repo.path))
    done = repo.relay(*words, env=env, cwd=cwd)
    assert done.code == 2 and not done.out, (done.out, done.err)
    assert len(done.err.splitlines()) == 1, done.err
    assert sorted(os.listdir(repo.path)) == before and repo.git("for-each-ref", "refs/heads/relay", "refs/relay") == ""
    return done.err


# -- variables of git ------------------------------------------------------------------------------

USERS = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.invalid",
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z",
    "GIT_COMMITTER_NAME": "Ann C",
    "GIT_COMMITTER_EMAIL": "annc@example.invalid",
    "GIT_SSH_COMMAND": "ssh -i 'a key'",
    "GIT_ASKPASS": "/usr/bin/true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "corp.token",
    "GIT_CONFIG_VALUE_0": "yes: 'é'",
    "GIT_CONFIG_KEY_1": "safe.directory",
    "GIT_CONFIG_VALUE_1": "*",
}


def shown(done_out: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in done_out.splitlines() if line.startswith(("GIT_", "GITRELAY_GIT")))


def test_a_peer_keeps_identity_ssh_and_configuration_of_the_environment(repo: Repo) -> None:
    Path(repo.env["GIT_CONFIG_GLOBAL"]).write_text("[user]\n\tuseConfigOnly = true\n")
    done = repo.relay(*SHELL, "env | sort; git commit -q --allow-empty -m x && git config corp.token", env=USERS)
    assert done.code == 0, done.out
    assert shown(done.out).items() >= USERS.items() and "GITRELAY_GIT" not in shown(done.out)
    assert repo.git("log", "-1", "--format=%an %ae %as, %cn %ce") == (
        "Ann ann@example.invalid 2001-02-03, Ann C annc@example.invalid"
    )
    # the ledger's own commits are by those who spoke, now
    assert repo.git("log", "-1", "--format=%an %cn", "relay/s") == "shell Ann C"
    assert not repo.git("log", "-1", "--format=%aI", "relay/s").startswith("2001")


def test_a_check_and_a_peer_of_a_peer_keep_them_too(repo: Repo) -> None:
    inner = "git relay req --to shell --session inner 'echo inner $GIT_AUTHOR_NAME'"
    check = 'test "$GIT_AUTHOR_NAME" = Ann'
    done = repo.relay(*SHELL, "--check", check, inner, env=USERS)
    assert done.code == 0 and "inner Ann\n" in done.out, (done.out, done.err)


def test_a_peer_gets_nothing_that_names_a_repository(repo: Repo) -> None:
    names = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    settings = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}
    inherited = {name: "x" for name in names if name not in settings} | {
        "GIT_DIR": str(repo.path / ".git"),
        "GIT_WORK_TREE": str(repo.path),
        "GIT_NAMESPACE": "n",
        "GIT_QUARANTINE_PATH": "q",
        "GIT_ATTR_SOURCE": "HEAD",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_PUSH_OPTION_COUNT": "0",
    }
    done = repo.relay(*SHELL, "env; git status --short --branch", env=inherited)
    assert done.code == 0 and shown(done.out).keys() <= {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"}, done.out
    assert "\n## main\n" in done.out


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE"])
@pytest.mark.parametrize("where", ["absolute", "relative", "gone"])
def test_another_repository_named_by_the_environment_is_refused(repo: Repo, name: str, where: str) -> None:
    repo.sh("git init -q ../other")
    other = {"absolute": repo.path.parent / "other", "relative": Path("../other"), "gone": Path("/no/such")}[where]
    value = str(other / ".git" if name == "GIT_DIR" else other)
    error = refuses(repo, *SHELL, "true", env={name: value})
    assert name in error and Path(value).parts[-1] in error and f"unset {name}" in error
    assert "GIT_DIR names" in refuses(repo, "ls", env={"GIT_DIR": "../other/.git"})
    assert not (repo.path.parent / "other/.git/relay").exists()


def test_the_same_repository_named_by_the_environment_is_not_refused(repo: Repo) -> None:
    repo.sh("git worktree add -q ../linked; ln -s repo ../alias; mkdir deep")
    linked, top = repo.path.parent / "linked", repo.path
    for cwd, git_dir in (
        (top, ".git"),
        (top / "deep", "../.git"),
        (top, "../alias/.git"),
        (linked, str(top / ".git/worktrees/linked")),
        (linked, ".git"),
        (linked, str(top / ".git")),
    ):
        done = repo.relay("ls", cwd=cwd, env={"GIT_DIR": git_dir, "GIT_INDEX_FILE": "x"})
        assert done.code == 0, (cwd, git_dir, done.err)
    assert repo.relay("-C", str(repo.path), "ls", cwd=top.parent, env={"GIT_DIR": str(top / ".git")}).code == 0


# -- a checkout that says it is bare ---------------------------------------------------------------


def test_core_bare_in_a_checkout_is_named_with_its_cure(repo: Repo) -> None:
    repo.git("config", "core.bare", "true")
    error = repo.relay(*SHELL, "true")
    assert error.code == 2 and "core.bare" in error.err
    cure = error.err.rpartition("git -C ")[2].strip()
    for words in (["install", "--project"], ["apply", "s/01"], ["check-again", "s/01"]):
        assert repo.relay(*words).code == 2
    assert "core.bare is true" in repo.relay("install", "--project").err
    assert "core.bare is true" in repo.relay("doctor").out
    repo.sh(f"git -C {cure}")
    assert repo.relay(*SHELL, "true").code == 0


def test_a_real_bare_repository_is_called_one(repo: Repo) -> None:
    repo.sh("git clone -q --bare . ../plain.git; mkdir ../hub; git clone -q --bare . ../hub/.git")
    for folder in (repo.path.parent / "plain.git", repo.path.parent / "hub"):
        done = repo.relay(*SHELL, "true", cwd=folder)
        assert done.code == 2 and "bare repository" in done.err and "core.bare" not in done.err


# -- newer git -------------------------------------------------------------------------------------


@pytest.fixture(params=["default", "relative worktrees", "reftable", "reftable sha256", "HEAD as a link"])
def newer(request: pytest.FixtureRequest, tmp_path: Path, env: dict[str, str]) -> Repo:
    """A repository of a kind that git knows from 2.48 on, made and used with such a git."""
    kind = request.param
    new = os.environ.get("NEWGIT", "")
    if "table" in kind or kind == "relative worktrees":
        if not new or not Path(new, "git").exists():
            pytest.skip("NEWGIT names no folder with a git of 2.48 or newer")
        env["PATH"] = os.pathsep.join([new, env["PATH"]])
    settings = {
        "default": "",
        "relative worktrees": "[worktree]\n\tuseRelativePaths = true\n",
        "reftable": "[init]\n\tdefaultRefFormat = reftable\n",
        "reftable sha256": "[init]\n\tdefaultRefFormat = reftable\n\tdefaultObjectFormat = sha256\n",
        "HEAD as a link": "[core]\n\tpreferSymlinkRefs = true\n",
    }[kind]
    with Path(env["GIT_CONFIG_GLOBAL"]).open("a") as f:
        f.write(settings)
    path = tmp_path / "repo"
    path.mkdir()
    made = Repo(path, env)
    made.sh("git init -q; echo 1 > a; git add a; git commit -qm first")
    return made


def test_the_sessions_worktree_stays_the_same_folder(newer: Repo) -> None:
    inodes = set()
    for n in (1, 2, 3):
        done = newer.relay(*SHELL, f"echo {n}")
        assert done.code == 0 and done.err == f"s/0{n}\n", done.err
        inodes.add((newer.path / ".relay/s").stat().st_ino)
    assert len(inodes) == 1 and not (newer.path / ".git/relay/aside").exists()
    newer.sh("git worktree add -q ../linked")
    assert newer.relay(*SHELL, "echo 4", cwd=newer.path.parent / "linked").code == 0
    assert newer.relay(*SHELL, "echo 5").code == 0
    newer.sh("git -C .relay/s checkout -q --detach")
    switched = newer.relay(*SHELL, "echo 6")
    assert switched.code == 0 and "switched" in switched.err
    assert newer.relay("close", "s").code == 0 and newer.relay("fsck").code == 0
    assert newer.relay("archive", "s").code == 0 and newer.relay("show", "s/06").code == 0
    assert_sound(newer)


@pytest.mark.parametrize(
    "act", ["git commit -q --allow-empty -m sneaky", "git checkout -q -b x", "git checkout -q --detach"]
)
def test_a_head_that_moves_under_read_access_is_seen(newer: Repo, act: str) -> None:
    program = newer.path.parent / "sneak"
    program.write_text(f"#!/bin/sh\ncat > /dev/null; {act}; echo words\n")
    program.chmod(0o755)
    newer.git("config", "relay.sneak.command", str(program))
    newer.git("config", "relay.sneak.plain", "true")
    newer.git("config", "relay.sneak.read", str(program))
    newer.relay("req", "--to", "sneak", "--access", "read", "--session", "t", "look")
    body = newer.git("log", "-1", "--format=%B", "relay/t")
    assert "Relay-Sandbox: violated" in body, body
    answer = newer.git("show", "relay/t:01.res.md")
    assert ("refs" if "commit" in act else "HEAD") in answer, answer


# -- tasks from elsewhere --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfecho hi\r\n",
        b"\xef\xbb\xbfecho hi",
        b"echo hi\r\n",
        "\ufeffecho hi\n".encode(),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_task(repo: Repo, data: bytes) -> None:
    done = repo.relay(*SHELL, "-", stdin=data)
    assert done.code == 0 and "$ echo hi\nhi\n" in done.out, done.out
    assert "\ufeff" not in repo.git("show", "relay/s:01.req.md")


def test_a_byte_order_mark_of_a_word_neither(repo: Repo) -> None:
    assert repo.relay(*SHELL, "\ufeffecho hi").code == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_another_width_is_named(repo: Repo, encoding: str) -> None:
    done = repo.relay(*SHELL, "-", stdin="echo hi, Größe\r\n".encode(encoding))
    assert done.code == 2 and encoding[:6].upper() in done.err and "iconv -f" in done.err
    assert len(done.err.splitlines()) == 1
    # the command that the hint names is one that works
    charset = done.err.partition("iconv -f ")[2].split()[0]
    text = subprocess.run(
        ["iconv", "-f", charset, "-t", "UTF-8"],
        input="echo hi, Größe\r\n".encode(encoding),
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert text.decode().strip("\ufeff\r\n") == "echo hi, Größe"


# -- files that a task refers to -------------------------------------------------------------------


def test_a_file_is_not_given_to_shell(repo: Repo) -> None:
    assert "--file 'app.py'" in refuses(repo, *SHELL, "--file", "app.py", "true")
    assert "--file" in refuses(repo, *SHELL, "--file", "app.py", "--file", "x; touch pwned", "--no-invoke", "true")
    assert "--file" in refuses(repo, *SHELL, "--to", "codex", "--file", "app.py", "true")


def test_a_file_that_is_not_there_is_refused(repo: Repo) -> None:
    words = ("req", "--from", "uma", "--to", "codex", "--session", "s", "--no-invoke")
    for name in ("gone.py", "../gone.py", "a\nb", str(repo.path / "gone")):
        assert "is not there" in refuses(repo, *words, "--file", "app.py", "--file", name, "look")


def test_a_file_is_named_from_the_top(repo: Repo) -> None:
    repo.sh("mkdir -p sub; echo 1 > 'sub/my file'; echo 1 > ../outside")
    words = ("req", "--from", "uma", "--to", "codex", "--session", "s", "--no-invoke", "look")
    files = ("--file", "my file", "--file", "app.py", "--file", "../../outside", "--file", str(repo.path / "app.py"))
    done = repo.relay(*words, *files, cwd=repo.path / "sub")
    assert done.code == 0, done.err
    text = repo.git("show", "relay/s:01.req.md")
    outside = repo.path.parent / "outside"
    assert f"\nFiles:\n- sub/my file\n- app.py\n- {outside}\n- {repo.path}/app.py\n" in text


# -- folders of the user's -------------------------------------------------------------------------

FOLDERS = ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
INSTALLS = (
    ["install", "--agent", "all"],
    ["install", "--agent", "codex", "--allow-codex"],
    ["completion", "--install", "bash"],
    ["completion", "--install", "zsh"],
    ["completion", "--install", "fish"],
    ["doctor"],
    ["uninstall", "--agent", "all"],
)


@pytest.mark.parametrize("value", ["", "  ", "\t", "~/.elsewhere", "~"])
def test_a_blank_folder_is_unset_and_a_tilde_is_the_home(repo: Repo, value: str) -> None:
    (repo.path / "deep").mkdir()
    before = repo.sh("find . ../home | sort")
    for words in INSTALLS:
        done = repo.relay(*words, env=dict.fromkeys(FOLDERS, value), cwd=repo.path / "deep")
        assert done.code != 70 and (done.code == 0 or words == ["doctor"]), (words, done.err)
        assert os.listdir(repo.path / "deep") == []
    assert repo.relay("install", "--agent", "claude", env={"CLAUDE_CONFIG_DIR": value}).code == 0
    home = Path(repo.env["HOME"])
    place = {"~": home, "~/.elsewhere": home / ".elsewhere"}.get(value, home / ".claude")
    assert (place / "skills/relay/SKILL.md").is_file()
    assert before


@pytest.mark.parametrize("home", ["", " ", "~", "relative/home"])
def test_a_home_that_is_none_makes_no_folders_here(repo: Repo, home: str) -> None:
    (repo.path / "deep").mkdir()
    for words in (["doctor"], ["completion", "--install", "fish"], ["install", "--project", "--agent", "gemini"]):
        # folders that name an absolute place, so that nothing is written to the home of the account that runs this
        elsewhere = {name: str(repo.path.parent / "elsewhere") for name in FOLDERS}
        done = repo.relay(*words, env={**elsewhere, "HOME": home}, cwd=repo.path / "deep")
        assert done.code != 70, done.err
        assert os.listdir(repo.path / "deep") == []
    shutil.rmtree(repo.path.parent / "elsewhere")


@pytest.mark.parametrize("value", ["here", "./here", "~somebody/x"])
def test_a_relative_folder_is_refused(repo: Repo, value: str) -> None:
    error = refuses(repo, "install", "--agent", "claude", env={"CLAUDE_CONFIG_DIR": value})
    assert f"CLAUDE_CONFIG_DIR={value!r}" in error and "export CLAUDE_CONFIG_DIR=" in error
    done = repo.relay("doctor", env={"CODEX_HOME": value})
    assert "CODEX_HOME" in done.out and "absolute" in done.out
