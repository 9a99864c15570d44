"""Every kind of repository, environment and hostile working tree that a call has to work in.

Each gets two turns of a session and two of the reading verbs, others on other days; GITRELAY_SOAK=1 adds a one-shot
and reads with every verb.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.ledgercheck import assert_sound, assert_valid
from support.repo import GIT_RELAY, Repo
from support.soak import SOAK, covering, dice, rounds
from support.waiting import eventually

HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
)


def turns(
    repo: Repo,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    session: str = "s",
) -> None:
    """A session of two turns, and under GITRELAY_SOAK=1 a one-shot, all the way."""
    subjects = []
    tasks = (("echo one", 0, "pass"), ("echo two; pwd; exit 3", 1, "fail"))
    for number, (task, code, verdict) in enumerate(tasks, start=1):
        words = ("req", "--from", "uma", "--to", "shell", "--session", session, task)
        done = repo.relay(*words, cwd=cwd, env=env)
        assert done.code == code, done.err
        assert done.err == f"{session}/0{number}\n", done.err
        assert f"$ {task}\n{task.split()[1].rstrip(';')}\n" in done.out
        subjects += [f"req 0{number} uma -> shell: {task}", f"res 0{number} shell -> uma: done, verify {verdict}"]
    assert repo.subjects(session) == [f"open {session}", *subjects]
    assert assert_valid(repo, session) == ["01", "02"]
    top = Path(repo.git("-C", str(cwd or repo.path), "rev-parse", "--show-toplevel"))
    assert os.path.realpath(top) in map(os.path.realpath, done.out.split("\n")), done.out
    addresses = [f"{session}/01"]
    if SOAK:
        shot = repo.relay("req", "--from", "uma", "--to", "shell", "--name", "shot", "pwd", cwd=cwd, env=env)
        assert shot.code == 0, shot.err
        addresses.append(shot.err.splitlines()[-1])
        assert assert_valid(repo, addresses[-1]) == addresses[-1:]
        assert os.path.realpath(shot.out.split("\n")[-5]) == os.path.realpath(top), shot.out
    reads(repo, session, addresses, cwd=cwd, env=env)
    answer = (top / ".relay" / session / "02.res.md").read_bytes()
    assert answer == repo.git("show", f"relay/{session}:02.res.md").encode() + b"\n"


def reads(
    repo: Repo,
    session: str,
    addresses: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Reading verbs, from the same place: two of them by chance, or all."""
    verbs = [["ls"], ["log"], ["show", session], ["status", "--all"], ["wait", *addresses]]
    for words in dice(os.environ["PYTEST_CURRENT_TEST"]).sample(verbs, rounds(2, len(verbs))):
        done = repo.relay(*words, cwd=cwd, env=env)
        assert done.code == 0, (words, done.err)
        if words[0] in ("ls", "log"):
            assert all(address.partition("/")[0] in done.out for address in addresses)


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@dataclass(frozen=True)
class Trap:
    """A file that comes into being when something runs that must not."""

    path: Path

    def shell(self) -> str:
        return f"#!/bin/sh\necho \"$0\" >> '{self.path}'\nexit 1\n"

    def python(self) -> str:
        return f"open({str(self.path)!r}, 'a').write(__file__ + '\\n')\nraise SystemExit('a trap was imported')\n"

    def assert_untouched(self) -> None:
        assert not self.path.exists(), self.path.read_text()


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "sprung")


def made(path: Path, env: Mapping[str, str], script: str) -> Repo:
    """A folder in which `script` has been run."""
    path.mkdir(parents=True)
    repo = Repo(path, env)
    repo.sh(script)
    return repo


# -- kinds of repository ---------------------------------------------------------------------------


@pytest.mark.usefixtures("each_git")
def test_sha256(tmp_path: Path, env: dict[str, str]) -> None:
    repo = made(tmp_path / "r", env, "git init -q --object-format=sha256; echo 1 > a; git add a; git commit -qm one")
    turns(repo)
    head = repo.git("rev-parse", "HEAD")
    assert len(head) == 64
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Head,valueonly)", "relay/s").strip() == head


def test_no_commit_yet(tmp_path: Path, env: dict[str, str]) -> None:
    repo = made(tmp_path / "r", env, "git init -q; echo 1 > a; git add a")
    turns(repo)
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Head,valueonly)", "relay/s").strip() == "unborn"
    assert repo.git("status", "--porcelain", "--branch").splitlines() == ["## No commits yet on main", "A  a"]


def test_shallow_clone(repo: Repo) -> None:
    repo.sh("for i in 1 2 3; do git commit -q --allow-empty -m $i; done; git clone -q --depth 1 file://$PWD ../shallow")
    clone = Repo(repo.path.parent / "shallow", repo.env)
    assert clone.git("rev-parse", "--is-shallow-repository") == "true"
    turns(clone)
    assert clone.git("rev-list", "--count", "HEAD") == "1"


@pytest.mark.usefixtures("each_git")
def test_submodule(repo: Repo, tmp_path: Path, env: dict[str, str]) -> None:
    outer = made(tmp_path / "outer", env, "git init -q; git commit -q --allow-empty -m one")
    outer.sh(f"git -c protocol.file.allow=always submodule --quiet add {repo.path} sub; git commit -qm sub")
    inner = Repo(outer.path / "sub", env)
    turns(inner)
    turns(outer)
    assert outer.git("status", "--porcelain") == "" and inner.git("status", "--porcelain") == ""
    assert not (repo.path / ".relay").exists()


@pytest.mark.usefixtures("each_git")
@pytest.mark.parametrize("mode", ["--cone", "--no-cone"])
def test_sparse_checkout(repo: Repo, mode: str) -> None:
    repo.sh("mkdir in out; echo 1 > in/a; echo 2 > out/b; git add .; git commit -qm more")
    repo.git("sparse-checkout", "set", mode, "in" if mode == "--cone" else "/in/")
    assert not (repo.path / "out").exists()
    turns(repo)
    assert repo.relay("close", "s").code == 0
    done = repo.relay("req", "--to", "shell", "--session", "s", "ls -a")  # the worktree is brought back whole
    assert done.code == 0, done.err
    assert assert_valid(repo, "s") == ["01", "02", "03"]
    assert not (repo.path / "out").exists() and (repo.path / "in/a").exists()
    assert repo.git("status", "--porcelain") == ""


@pytest.mark.usefixtures("each_git")
def test_linked_worktree(repo: Repo) -> None:
    repo.sh("git worktree add -q -b linked '../linked tree'")
    linked = Repo(repo.path.parent / "linked tree", repo.env)
    turns(linked)
    assert (linked.path / ".relay/s/02.res.md").exists() and not (repo.path / ".relay").exists()
    assert linked.git("status", "--porcelain") == "" and repo.git("status", "--porcelain") == ""
    assert not (repo.path / ".git/worktrees/linked tree/relay").exists()


@pytest.mark.usefixtures("each_git")
def test_an_idle_session_moves_between_working_trees(repo: Repo) -> None:
    repo.sh("git worktree add -q ../linked")
    linked = repo.path.parent / "linked"
    there, here = linked / ".relay/s", repo.path / ".relay/s"
    for turn, (folder, has, has_not) in enumerate(
        ((repo.path, here, there), (linked, there, here), (repo.path, here, there)), start=1
    ):
        done = repo.relay("req", "--to", "shell", "--session", "s", "pwd", cwd=folder)
        assert done.code == 0, done.err
        assert f"\n{folder}\n" in done.out
        assert has.exists() and not has_not.exists()
        assert len(list(has.glob("*.md"))) == 2 * turn
    assert assert_valid(repo, "s") == ["01", "02", "03"]


def test_an_edit_in_a_session_that_moves_is_kept(repo: Repo) -> None:
    repo.sh("git worktree add -q ../linked")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    (repo.path / ".relay/s/notes.txt").write_text("worth keeping")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true", cwd=repo.path.parent / "linked")
    assert done.code == 0, done.err
    kept = [p for p in (repo.path / ".git/relay/aside").rglob("notes.txt") if p.read_text() == "worth keeping"]
    assert kept, "a file that a person left in the session's worktree is gone"


def test_a_busy_session_does_not_move(repo: Repo) -> None:
    repo.sh("git worktree add -q ../linked; mkfifo ../go")
    linked = repo.path.parent / "linked"
    running = repo.relay("req", "--to", "shell", "--session", "s", "-d", "cat ../go")
    assert running.code == 0, running.err
    refused = repo.relay("req", "--to", "shell", "--session", "s", "true", cwd=linked)
    assert refused.code == 6 and "s/01" in refused.err, refused.err
    assert not (linked / ".relay/s").exists()
    repo.sh("echo now > ../go", timeout=20)
    waited = repo.relay("wait", "s/01", cwd=linked)
    assert waited.code == 0 and "now" in waited.out, waited.err
    assert (repo.path / ".relay/s/01.res.md").exists()
    assert repo.relay("req", "--to", "shell", "--session", "s", "true", cwd=linked).code == 0
    assert assert_valid(repo, "s") == ["01", "02"]


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "z\u00fcrich \u65e5\u672c",
        'it\'s "quoted" `x` $(y) \\z',
        "-dash",
        "semi;colon&and",
        "%41 {cwd}",
        "e\u0301",
        "tab\tand\x01",
    ],
)
def test_odd_paths(tmp_path: Path, env: dict[str, str], name: str) -> None:
    repo = made(tmp_path / name, env, "git init -q; echo 1 > a; git add a; git commit -qm one; mkdir 'sub dir'")
    turns(repo, cwd=repo.path / "sub dir")
    if SOAK:
        turns(repo, session="t")


def test_a_path_that_is_not_utf8(tmp_path: Path, env: dict[str, str]) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        folder.mkdir()
    except OSError as e:
        pytest.skip(f"this file system has UTF-8 names only: {e}")
    repo = Repo(folder, env)
    repo.sh("git init -q; git commit -q --allow-empty -m one")
    done = repo.relay("req", "--to", "shell", "--session", "s", "echo one")
    assert done.code == 0, done.err
    assert repo.subjects("s")[-1] == "res 01 shell -> uma-user: done, verify pass"
    assert repo.relay("show", "s").code == 0


@pytest.mark.usefixtures("each_git")
def test_bare_repository(repo: Repo) -> None:
    repo.sh("git clone -q --bare . ../bare.git")
    bare = Repo(repo.path.parent / "bare.git", repo.env)
    refused = bare.relay("req", "--to", "shell", "--session", "s", "echo one")
    assert refused.code == 2 and "bare" in refused.err and len(refused.err.splitlines()) == 1, refused.err
    assert bare.git("for-each-ref", "refs/heads/relay/") == ""
    asked = bare.relay("req", "--from", "uma", "--to", "codex", "--session", "s", "--no-invoke", "look")
    assert asked.code == 0, asked.err
    assert Path(asked.out.strip()).read_text().startswith("---\nrelay: 4\nid: 01\n")
    words = ("--session", "s", "--re", "01", "--from", "codex", "--to", "uma", "--status", "done", "--verify", "pass")
    answered = bare.relay("res", *words, "looked")
    assert answered.code == 0, answered.err
    shot = bare.relay("req", "--from", "uma", "--to", "codex", "--name", "shot", "--no-invoke", "look")
    assert shot.code == 0, shot.err
    assert assert_valid(bare, "s") == ["01"]
    for verbs in (["ls"], ["log"], ["show", "s"], ["show", "s/01"], ["status"], ["wait", "s/01"]):
        done = bare.relay(*verbs)
        assert done.code == 0, (verbs, done.err)
    assert "state" in bare.relay("status", "--all", "--json").out
    assert bare.relay("close", "s").code == 0
    assert bare.relay("archive", "s").code == 0
    assert "looked" in bare.relay("show", "s").out


@pytest.mark.usefixtures("each_git")
def test_a_linked_worktree_of_a_bare_repository(repo: Repo) -> None:
    repo.sh("git clone -q --bare . ../bare.git; git -C ../bare.git worktree add -q ../linked main")
    turns(Repo(repo.path.parent / "linked", repo.env))


def test_inside_the_git_folder(repo: Repo) -> None:
    done = repo.relay("req", "--to", "shell", "true", cwd=repo.path / ".git")
    assert done.code == 2 and "working tree" in done.err, done.err


@pytest.mark.fast
def test_no_repository(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "empty").mkdir()
    done = Repo(tmp_path / "empty", env).relay("req", "--to", "shell", "true")
    assert done.code == 2 and "git init" in done.err, done.err


@pytest.mark.fast
def test_detached_head(repo: Repo) -> None:
    repo.sh("git commit -q --allow-empty -m two; git checkout -q --detach HEAD~1")
    head = repo.git("rev-parse", "HEAD")
    turns(repo)
    assert repo.git("rev-parse", "HEAD") == head and repo.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_a_separate_git_folder(tmp_path: Path, env: dict[str, str]) -> None:
    repo = made(tmp_path / "r", env, "git init -q --separate-git-dir '../git dir'; git commit -q --allow-empty -m one")
    turns(repo)
    assert (tmp_path / "git dir/relay").is_dir() and (repo.path / ".git").is_file()


def test_reftable(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "r").mkdir()
    repo = Repo(tmp_path / "r", env)
    done = subprocess.run(
        ["git", "init", "-q", "--ref-format=reftable"], cwd=repo.path, env=env, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this git has no reftable (2.45 and newer have it): {repo.git('version')}")
    repo.sh("git commit -q --allow-empty -m one")
    turns(repo)


@pytest.mark.usefixtures("each_git")
def test_packed_refs(repo: Repo) -> None:
    turns(repo)
    repo.sh("git pack-refs --all --prune; git gc -q --prune=now")
    assert repo.relay("req", "--to", "shell", "--session", "t", "true").code == 0
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert assert_valid(repo, "s") == ["01", "02", "03"]


def test_a_repository_with_alternates(repo: Repo) -> None:
    repo.sh("git clone -q --shared . ../shared")
    turns(Repo(repo.path.parent / "shared", repo.env))


def test_a_symbolic_link_to_the_repository(repo: Repo) -> None:
    link = repo.path.parent / "link"
    link.symlink_to(repo.path)
    turns(Repo(link, repo.env))
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert assert_valid(repo, "s") == ["01", "02", "03"]


# -- configuration ---------------------------------------------------------------------------------


def configured(repo: Repo, text: str) -> None:
    with Path(repo.env["GIT_CONFIG_GLOBAL"]).open("a") as f:
        f.write(text)


def bodies(repo: Repo) -> None:
    """Bodies that line-end conversion and filters would change: read back byte for byte, in the worktree too."""
    body = b"one\r\ntwo\nthree\r\n$Id$ \xef\xbb\xbf\r\n\r\n"
    pairs = ((body, body + b"end"), (b"plain\nlf", b"plain\nlf"))[: rounds(1, 2)]
    for n, (task, answer) in enumerate(pairs, start=1):
        words = ("req", "--from", "uma", "--to", "codex", "--session", "bytes", "--no-invoke", "-")
        asked = repo.relay(*words, stdin=task + b"\n")
        assert asked.code == 0 and asked.err == "", asked.err
        parties = ("--session", "bytes", "--re", f"0{n}", "--from", "codex", "--to", "uma")
        answered = repo.relay("res", *parties, "--status", "done", "--verify", "skip", "-", stdin=answer + b"\n")
        assert answered.code == 0 and answered.err == "", answered.err
        assert task in (repo.path / f".relay/bytes/0{n}.req.md").read_bytes()
        assert (repo.path / f".relay/bytes/0{n}.res.md").read_bytes().endswith(b"\n---\n\n" + answer + b"\n")
        shown = repo.relay("show", f"bytes/0{n}", "--res")
        assert shown.raw.endswith(b"\n---\n\n" + answer + b"\n")
    assert repo.relay("close", "bytes").code == 0
    assert repo.relay("req", "--to", "shell", "--session", "bytes", "true").err == f"bytes/0{len(pairs) + 1}\n"
    assert b"\n---\n\n" + body + b"end\n" in (repo.path / ".relay/bytes/01.res.md").read_bytes()
    assert not (repo.path / ".git/relay/aside").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n\tautocrlf = true\n[commit]\n\tgpgsign = false\n\ttemplate = /nonexistent\n",
        "[core]\n\tautocrlf = input\n\tsafecrlf = true\n\teol = crlf\n\tfilemode = false\n\tsymlinks = false\n",
        "[core]\n\tfsync = none\n\tuntrackedCache = true\n\tlogAllRefUpdates = false\n\tsharedRepository = group\n"
        "\tabbrev = 4\n[gc]\n\tauto = 1\n[feature]\n\tmanyFiles = true\n",
        "[status]\n\tshowUntrackedFiles = no\n\tbranch = true\n[log]\n\tshowSignature = true\n\tdecorate = full\n"
        "[color]\n\tui = always\n[core]\n\tpager = false\n\teditor = false\n[alias]\n\tlog = log --oneline\n"
        "[diff]\n\texternal = false\n\trenames = copies\n[i18n]\n\tlogOutputEncoding = ISO-8859-1\n",
        "[trailer]\n\tseparators = =\n[i18n]\n\tcommitEncoding = ISO-8859-1\n[init]\n\ttemplateDir = /nonexistent\n"
        "[worktree]\n\tguessRemote = true\n[checkout]\n\tdefaultRemote = x\n",
        "[core]\n\tcommentChar = R\n[column]\n\tui = always\n[tag]\n\tsort = x\n[branch]\n\tsort = x\n",
    ],
    ids=["autocrlf", "eol", "fsync", "log", "trailer", "comment"],
)
def test_user_configuration(repo: Repo, text: str) -> None:
    configured(repo, text)
    turns(repo)
    if "autocrlf" in text or "fsync" in text or SOAK:
        bodies(repo)


RULES = ["filter=x", "text eol=crlf", "ident", "working-tree-encoding=UTF-16LE"]


@pytest.mark.parametrize(("where", "rule"), covering(["global", "info", "xdg"], RULES))
def test_attributes(repo: Repo, trap: Trap, where: str, rule: str) -> None:
    program = executable(trap.path.parent / "filter", trap.shell())
    configured(repo, f'[filter "x"]\n\tclean = "{program}"\n\tsmudge = "{program}"\n\trequired = true\n')
    home = Path(repo.env["HOME"])
    if where == "global":
        configured(repo, "[core]\n\tattributesFile = ~/attributes\n")
    place = {
        "global": home / "attributes",
        "xdg": home / ".config/git/attributes",
        "info": repo.path / ".git/info/attributes",
    }[where]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"*.md {rule}\n")
    words = ("req", "--from", "uma", "--to", "shell", "--session", "s")
    done = repo.relay(*words, "echo 1")
    assert done.code == 0 and done.err == "s/01\n", done.err
    bodies(repo)
    trap.assert_untouched()
    assert_sound(repo)


def test_no_identity(repo: Repo) -> None:
    Path(repo.env["GIT_CONFIG_GLOBAL"]).write_text("[user]\n\tuseConfigOnly = true\n")
    turns(repo)
    assert repo.git("log", "-1", "--format=%cn <%ce>", "relay/s") == "gitrelay <gitrelay@gitrelay.invalid>"


def test_a_branch_named_relay_is_in_the_way(repo: Repo) -> None:
    repo.git("branch", "relay")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 2 and "git branch -m relay" in done.err, done.err
    assert len(done.err.splitlines()) == 1


# -- places and environments -----------------------------------------------------------------------


def test_a_subfolder(repo: Repo) -> None:
    sub = repo.path / "a/b c"
    sub.mkdir(parents=True)
    turns(repo, cwd=sub)
    assert not (sub / ".relay").exists()


def test_the_C_option(repo: Repo, tmp_path: Path) -> None:
    done = repo.relay("-C", str(repo.path), "req", "--to", "shell", "--session", "s", "pwd", cwd=tmp_path)
    assert done.code == 0 and f"\n{repo.path}\n" in done.out, done.err


@pytest.mark.parametrize("relative", [True, False])
def test_inherited_git_variables(repo: Repo, tmp_path: Path, env: dict[str, str], relative: bool) -> None:
    other = made(tmp_path / "other", env, "git init -q; echo x > x; git add x; git commit -qm other")
    before = (other.path / ".git/index").read_bytes(), other.git("for-each-ref")
    root = Path("../other") if relative else other.path
    inherited = {
        "GIT_DIR": ".git" if relative else str(repo.path / ".git"),
        "GIT_WORK_TREE": "." if relative else str(repo.path),
        "GIT_INDEX_FILE": str(root / ".git/index"),
        "GIT_OBJECT_DIRECTORY": str(root / ".git/objects"),
        "GIT_COMMON_DIR": str(root / ".git"),
        "GIT_NAMESPACE": "elsewhere",
        "GIT_PREFIX": "sub/",
        "GIT_CEILING_DIRECTORIES": str(repo.path.parent),
        "GIT_AUTHOR_NAME": "Somebody Else",
        "GIT_AUTHOR_EMAIL": "else@example.invalid",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00",
        "GIT_COMMITTER_DATE": "2001-01-01T00:00:00",
        "GIT_REFLOG_ACTION": "rebase",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_TRACE": "2",
        "GIT_TRACE2": "2",
        "GIT_REPLACE_REF_BASE": "refs/x/",
        "GIT_QUARANTINE_PATH": str(root),
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_ATTR_SOURCE": "HEAD",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_ICASE_PATHSPECS": "1",
    }
    turns(repo, env=inherited)
    assert before == ((other.path / ".git/index").read_bytes(), other.git("for-each-ref"))
    assert not (other.path / ".relay").exists() and not (other.path / ".git/relay").exists()
    assert repo.git("log", "-1", "--format=%ad", "--date=format:%Y", "relay/s") != "2001"


@pytest.mark.parametrize(
    ("hook", "where"),
    [
        ("pre-commit", "main"),
        ("pre-commit", "linked"),
        ("pre-push", "main"),
        ("pre-push", "linked"),
        ("prepare-commit-msg", "linked"),
        ("post-commit", "main"),
        ("post-checkout", "linked"),
    ],
)
def test_from_inside_a_hook(repo: Repo, hook: str, where: str) -> None:
    repo.sh("git init -q --bare ../remote.git; git remote add origin ../remote.git; git worktree add -q ../linked")
    tree = Repo(repo.path if where == "main" else repo.path.parent / "linked", repo.env)
    relay = " ".join(GIT_RELAY)
    executable(
        repo.path / ".git/hooks" / hook,
        "#!/bin/sh\nset -e\nexec >>../log 2>&1 </dev/null\n"
        f"{relay} req --to shell --session s 'pwd; git status --porcelain'\n"
        f"{relay} req --to shell --name shot 'git rev-parse --show-toplevel'\n",
    )
    run = {
        "pre-push": "git push -q origin HEAD",
        "post-checkout": "git checkout -q -b new",
    }.get(hook, "echo 2 >> app.py; git commit -qam second; git commit -q --allow-empty -m third")
    tree.sh(run, timeout=60)
    log = (tree.path.parent / "log").read_text()
    assert f"\n{tree.path}\n" in log, log
    assert_valid(tree, "s")
    assert (tree.path / ".relay/s").is_dir()
    assert tree.git("status", "--porcelain") == ""
    if hook not in ("pre-push", "post-checkout"):
        assert tree.git("log", "-2", "--format=%s").splitlines() == ["third", "second"]
        assert tree.git("diff", "--stat", "HEAD~2", "--", "app.py") != ""


# -- nothing of the user's runs --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hooks folder", "core.hooksPath", "template"])
def test_no_hook_runs(repo: Repo, trap: Trap, how: str) -> None:
    folder = {
        "hooks folder": repo.path / ".git/hooks",
        "core.hooksPath": trap.path.parent / "my hooks",
        "template": trap.path.parent / "template/hooks",
    }[how]
    for hook in HOOKS:
        executable(folder / hook, trap.shell())
    if how == "core.hooksPath":
        configured(repo, f'[core]\n\thooksPath = "{folder}"\n')
    if how == "template":
        configured(repo, f'[init]\n\ttemplateDir = "{folder.parent}"\n')
    configured(repo, f'[core]\n\tfsmonitor = "{folder / "fsmonitor-watchman"}"\n')
    calls = [
        "req --to shell --session s true",
        "req --to shell --name shot true",
        "close s",
        "req --to shell --session s true",
        "archive s",
    ]
    if how == "hooks folder" or SOAK:
        calls += [
            "archive --restore s",
            "req --from uma --to codex --session s --no-invoke look",
            "res --session s --re 03 --from codex --to uma --status done --verify skip looked",
            "ls",
            "log",
            "show s",
            "status --all",
            "wait s/03",
            "demo",
        ]
    lines = "\n".join(f"relay {words} || exit 9" for words in calls)
    repo.sh(f'relay() {{ {" ".join(GIT_RELAY)} "$@"; }}\n{lines}', timeout=120)
    trap.assert_untouched()
    if how == "hooks folder" or SOAK:
        assert assert_valid(repo, "s") == ["01", "02", "03"]
    else:
        assert len(repo.git("rev-list", "refs/relay/archive/s").splitlines()) == 5


def test_no_program_that_configuration_names_runs(repo: Repo, trap: Trap) -> None:
    program = executable(trap.path.parent / "program", trap.shell())
    keys = ("core.pager", "core.editor", "core.sshCommand", "core.askPass", "diff.external", "sequence.editor")
    for key in (*keys, "credential.helper", "gpg.program", "pager.log", "pager.show", "core.gitProxy"):
        repo.git("config", key, str(program))
    names = ("GIT_PAGER", "GIT_EDITOR", "GIT_EXTERNAL_DIFF", "PAGER", "EDITOR", "VISUAL", "LESSOPEN", "MANPAGER")
    turns(repo, env=dict.fromkeys(names, str(program)))
    trap.assert_untouched()


@pytest.mark.parametrize("how", ["module", "git relay", "script"])
def test_python_of_the_working_tree_is_not_imported(repo: Repo, trap: Trap, how: str) -> None:
    for name in (
        "gitrelay/__init__.py",
        "gitrelay/__main__.py",
        "gitrelay/supervisor.py",
        "git/__init__.py",
        "frontmatter/__init__.py",
        "yaml/__init__.py",
        "sitecustomize.py",
        "usercustomize.py",
        "click.py",
        "psutil.py",
        "json.py",
        "subprocess.py",
        "ctypes.py",
        "importlib.py",
        "sub/click.py",
        "sub/git.py",
    ):
        path = repo.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(trap.python())
    (repo.path / "pyproject.toml").write_text("[tool.gitrelay]\npeer = 'evil'\n")
    start = {"module": " ".join(GIT_RELAY), "git relay": "git relay", "script": "git-relay"}[how]
    for folder in (".", "sub"):
        out = repo.sh(f"cd {folder}; {start} req --to shell --session s 'echo fine'; {start} show s >/dev/null")
        assert "\nfine\n" in out
    trap.assert_untouched()
    assert assert_valid(repo, "s") == ["01", "02"]


@pytest.mark.parametrize(
    ("folder", "first"), [(".", True), ("", True), ("bin", True), ("bin", False), ("../repo/bin", True)]
)
def test_a_relative_folder_on_PATH_chooses_no_peer(repo: Repo, trap: Trap, folder: str, first: bool) -> None:
    for name in ("evil", "claude", "sh", "codex"):
        executable(repo.path / name, trap.shell())
        executable(repo.path / "bin" / name, trap.shell())
    repo.git("config", "relay.evil.command", "evil {prompt}")
    path = [folder, repo.env["PATH"]] if first else [repo.env["PATH"], folder]
    env = {"PATH": os.pathsep.join(path)}
    for peer, code in (("evil", 4), ("claude", 4), ("shell", 0)):
        done = repo.relay("req", "--from", "uma", "--to", peer, "--session", peer, "echo fine", env=env)
        assert done.code == code, (peer, done.out, done.err)
        assert code == 0 or "reason: unavailable" in done.out
        assert assert_valid(repo, peer, fsck=False) == ["01"]
    assert repo.relay("peers", env=env).code == 0
    trap.assert_untouched()


@pytest.mark.parametrize("command", ["./evil", "bin/evil", "../repo/evil"])
def test_a_relative_path_is_no_peer(repo: Repo, trap: Trap, command: str) -> None:
    for name in ("evil", "bin/evil"):
        executable(repo.path / name, trap.shell())
    repo.git("config", "relay.evil.command", command)
    done = repo.relay("req", "--from", "uma", "--to", "evil", "--session", "s", "echo fine")
    assert done.code == 4 and "reason: unavailable" in done.out, (done.out, done.err)
    trap.assert_untouched()
    assert assert_valid(repo, "s") == ["01"]


def test_configuration_in_the_working_tree_is_not_read(repo: Repo, trap: Trap) -> None:
    program = executable(trap.path.parent / "program", trap.shell())
    text = f'[relay "evil"]\n\tcommand = {program}\n[relay "shell"]\n\tcommand = {program}\n'
    for name in (".gitconfig", ".gitrelay", ".gitmodules", ".relay/config", "config", ".git-relay.toml", "HEAD"):
        path = repo.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert repo.relay("req", "--to", "evil", "true").code == 2
    assert repo.relay("req", "--to", "shell", "true").code == 0
    trap.assert_untouched()


# -- tricks with .relay ----------------------------------------------------------------------------


def _home_is_a_link(repo: Repo, outside: Path) -> None:
    (repo.path / ".relay").symlink_to(outside)


def _home_is_a_file(repo: Repo, outside: Path) -> None:
    (repo.path / ".relay").write_text("mine")


def _home_is_a_dangling_link(repo: Repo, outside: Path) -> None:
    (repo.path / ".relay").symlink_to(outside / "not-there")


@pytest.mark.parametrize("trick", [_home_is_a_link, _home_is_a_file, _home_is_a_dangling_link])
def test_a_relay_folder_that_is_none_is_refused(repo: Repo, tmp_path: Path, trick: object) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    assert callable(trick)
    trick(repo, outside)
    for words in (["--session", "s"], ["--name", "shot"]):
        done = repo.relay("req", "--to", "shell", *words, "true")
        assert done.code == 2 and ".relay" in done.err and len(done.err.splitlines()) == 1, done.err
    assert [p.name for p in outside.iterdir()] == ["precious"]
    assert repo.git("for-each-ref", "refs/heads/relay/") == ""


def _session_is_a_link(home: Path, outside: Path) -> None:
    (home / "s").symlink_to(outside)


def _git_file_points_elsewhere(home: Path, outside: Path) -> None:
    (home / "s").mkdir()
    (home / "s/.git").write_text(f"gitdir: {outside}/.git\n")


def _git_is_a_folder(home: Path, outside: Path) -> None:
    shutil.copytree(outside / ".git", home / "s/.git")


def _git_is_a_fifo(home: Path, outside: Path) -> None:
    (home / "s").mkdir()
    os.mkfifo(home / "s/.git")


def _git_points_to_the_main_repository(home: Path, outside: Path) -> None:
    (home / "s").mkdir()
    (home / "s/.git").write_text("gitdir: ../../.git\n")


@pytest.mark.parametrize(
    "trick",
    [
        _session_is_a_link,
        _git_file_points_elsewhere,
        _git_is_a_folder,
        _git_is_a_fifo,
        _git_points_to_the_main_repository,
    ],
)
def test_a_session_folder_that_a_clone_brought(repo: Repo, tmp_path: Path, trap: Trap, trick: object) -> None:
    """Either it is put out of the way, or the call is refused; nothing outside is touched and nothing runs."""
    outside = made(tmp_path / "outside", repo.env, "git init -q; echo x > precious; git add .; git commit -qm one")
    outside.git("config", "core.fsmonitor", str(executable(tmp_path / "monitor", trap.shell())))
    executable(outside.path / ".git/hooks/post-checkout", trap.shell())
    refs = outside.git("for-each-ref")
    home = repo.path / ".relay"
    home.mkdir()
    assert callable(trick)
    trick(home, outside.path)
    done = repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo real", timeout=30)
    assert done.code == 0 and "\nreal\n" in done.out, (done.code, done.err)
    assert assert_valid(repo, "s") == ["01"]
    trap.assert_untouched()
    assert (outside.path / "precious").read_text() == "x\n" and outside.git("for-each-ref") == refs
    assert sorted(p.name for p in outside.path.iterdir()) == [".git", "precious"]


@pytest.mark.parametrize("tracked", [True, False])
def test_messages_of_the_file_protocol_stay(repo: Repo, tmp_path: Path, tracked: bool) -> None:
    """The session is refused, and the files of the user, and what a link there points to, are as they were."""
    (tmp_path / "precious").write_text("x")
    home = repo.path / ".relay/s"
    home.mkdir(parents=True)
    (home / "01.req.md").symlink_to(tmp_path / "precious")
    (home / "01.res.md").write_text("mine")
    if tracked:
        repo.sh("git add -f .relay; git commit -qm protocol")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 2 and "git relay import" in done.err, done.err
    assert sorted(path.name for path in home.iterdir()) == ["01.req.md", "01.res.md"]
    assert (home / "01.res.md").read_text() == "mine" and (tmp_path / "precious").read_text() == "x"
    assert repo.git("for-each-ref", "refs/heads/relay/") == ""


def test_a_tracked_relay_folder_stays_as_it_is(repo: Repo) -> None:
    repo.sh(
        "mkdir -p .relay/old; echo note > .relay/old/note; echo '!*' > .relay/.gitignore;"
        "git add -f .relay; git commit -qm x"
    )
    turns(repo)
    assert repo.git("status", "--porcelain", "--untracked-files=no") == ""
    assert (repo.path / ".relay/.gitignore").read_text() == "!*\n"


def test_a_folder_of_other_files_is_not_taken(repo: Repo) -> None:
    (repo.path / ".relay/s").mkdir(parents=True)
    (repo.path / ".relay/s/thesis.tex").write_text("x")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 2 and "move it away" in done.err, done.err
    assert (repo.path / ".relay/s/thesis.tex").read_text() == "x"
    assert repo.git("for-each-ref", "refs/heads/relay/") == ""


def test_the_folder_may_vanish_under_the_caller(repo: Repo) -> None:
    relay = " ".join(GIT_RELAY)
    done = repo.sh(f"mkdir gone; cd gone; rmdir ../gone; {relay} ls 2>&1 || echo exit $?")
    assert done.endswith("\nexit 2\n") and len(done.splitlines()) == 2, done
    done = repo.sh(
        f"cd gone 2>/dev/null || mkdir gone; cd gone; rmdir ../gone; GIT_DIR=x {relay} ls 2>&1 || echo exit $?"
    )
    assert done.endswith("\nexit 2\n") and "Traceback" not in done, done


def test_the_seal_holds(repo: Repo) -> None:
    """These tests see nothing of the machine's own git configuration."""
    out = repo.git("config", "--list", "--show-origin", "--name-only")
    assert {line.split("\t")[0] for line in out.splitlines()} == {
        f"file:{repo.env['GIT_CONFIG_GLOBAL']}",
        "file:.git/config",
    }
    assert "PYTHONPATH" not in repo.env and Path(sys.executable).is_absolute()
    assert eventually(lambda: True)


def test_the_newer_git_is_the_one_that_is_used(newgit: Path, repo: Repo) -> None:
    version = repo.git("--version")
    assert version == subprocess.run([newgit / "git", "--version"], capture_output=True, text=True).stdout.strip()
    said = repo.relay("doctor").out
    assert version.removeprefix("git version ") in said
