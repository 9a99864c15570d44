"""`git relay hooks`: in place where git looks, beside what stood there, and gone again byte for byte."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitrelay.setup.hooks import HOOKS
from support.places import ROOT
from support.repo import Done, Repo

SOURCES = ROOT / "hooks"
OWN = """\
#!/bin/sh
echo "own $(basename "$0") $*" >>{log}
cat >>{log}
exit $(cat {code} 2>/dev/null || echo 0)
"""


@pytest.fixture
def repo(repo: Repo) -> Repo:
    """With a remote, and the reviewer `cat` who passes everything."""
    program = repo.path.parent / "reviewer.sh"
    program.write_text(
        "said=$(sed -n 's/^  \\(re\\|from\\|to\\): \\([a-z0-9-]*\\)$/\\1: \\2/p')\n"
        'printf -- "---\\nrelay: 4\\n%s\\nstatus: done\\nverify: pass\\n---\\n\\nNo findings.\\n" "$said"\n'
    )
    repo.git("config", "relay.cat.command", shlex.join(["sh", str(program)]))
    repo.sh(
        "git init -q --bare ../origin.git; git remote add origin ../origin.git; git push -q origin main; git fetch -q"
    )
    return repo


def listing(repo: Repo, cwd: Path | None = None) -> dict[str, tuple[str, str, str | None]]:
    done = repo.relay("hooks", "list", "--json", cwd=cwd)
    assert done.code == 0, done.out
    return {row["hook"]: (row["state"], row["file"], row["kept"]) for row in done.json["data"]}


def picture(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file below `folder`: what it is, its mode, time and bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        data = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (info.st_mode, 0 if path.is_dir() else info.st_mtime_ns, data)
    return found


def push(repo: Repo, *words: str, env: Mapping[str, str] | None = None) -> Done:
    done = subprocess.run(
        ["git", "push", "-q", *words],
        cwd=repo.path,
        env={**repo.env, **(env or {})},
        capture_output=True,
        timeout=90,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def test_all_hooks_come_beside_what_is_there_and_go_again(repo: Repo, tmp_path: Path) -> None:
    hooks = repo.path / ".git/hooks"
    log, code = tmp_path / "log", tmp_path / "code"
    for name, mode in (("pre-push", 0o750), ("reference-transaction", 0o700), ("update", 0o644)):
        (hooks / name).write_text(OWN.format(log=log, code=code))
        (hooks / name).chmod(mode)
        os.utime(hooks / name, (1_000_000_000, 1_000_000_000))
    before, config = picture(hooks), (repo.path / ".git/config").read_bytes()
    done = repo.relay("hooks", "install", *HOOKS, "--to", "cat")
    assert done.code == 0 and done.raw == b"" and done.err.count("goes first") == 3, done.err
    assert {name: (state, Path(kept or "").parent.name) for name, (state, _, kept) in listing(repo).items()} == {
        name: ("installed", f"{name}.d") for name in HOOKS
    }
    now = picture(hooks)
    again = repo.relay("hooks", "install", *HOOKS)
    assert again.err.count("unchanged") == 3 and picture(hooks) == now

    # the user's own goes first, with the same words and lines, and its exit code counts
    log.write_text("")
    repo.sh("echo x >>app.py; git commit -qam more")
    head, there = repo.git("rev-parse", "HEAD", "origin/main").split()
    assert (
        f"{there} {head} refs/heads/main\n" in log.read_text()
        and "own reference-transaction prepared" in log.read_text()
    )
    log.write_text("")
    code.write_text("3")
    failed = push(repo, "origin", "main")
    assert failed.code == 1 and "review" not in failed.err
    assert log.read_text() == f"own pre-push origin ../origin.git\nrefs/heads/main {head} refs/heads/main {there}\n"
    assert repo.relay("ls", "--json").json["data"] == []
    refused = subprocess.run(
        ["git", "branch", "other"], cwd=repo.path, env=dict(repo.env), capture_output=True, check=False
    )
    assert refused.returncode != 0, "a reference transaction that the user's own hook refuses"
    code.unlink()
    done = push(repo, "origin", "main")
    assert done.code == 0 and "passed: cat says pass" in done.err
    log.write_text("")
    assert push(repo, "origin", "main").code == 0 and log.read_text().startswith("own pre-push origin")
    rewriting = subprocess.run(
        ["git", "update-ref", "-d", "refs/heads/relay/review-main"],
        cwd=repo.path,
        env=dict(repo.env),
        capture_output=True,
        check=False,
    )
    assert b"refused by the hook reference-transaction" in rewriting.stderr

    # none of them runs on what gitrelay does
    log.write_text("")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert log.read_text() == ""

    removed = repo.relay("hooks", "remove")
    assert removed.code == 0 and "the hook that was there before is back" in removed.err
    assert "relay.gatePeer is still " in removed.err and "git config --unset relay.gatePeer" in removed.err
    assert "it is not there" not in removed.err
    assert picture(hooks) == before
    assert config in (repo.path / ".git/config").read_bytes(), "only relay.gatePeer was added"
    again = repo.relay("hooks", "remove")
    assert again.code == 0 and picture(hooks) == before
    assert "no hook of gitrelay's" in again.err and "it is not gitrelay's" in again.err


def test_without_hooks_before_there_are_none_after(repo: Repo) -> None:
    shutil.rmtree(repo.path / ".git/hooks")
    assert repo.relay("hooks", "install", "pre-push", "reference-transaction", "--to", "cat").code == 0
    assert [state for state, _, _ in listing(repo).values()] == ["installed", "absent", "installed"]
    assert repo.relay("hooks", "remove", "pre-push", "reference-transaction").code == 0
    assert picture(repo.path / ".git/hooks") == {}


def test_a_hook_that_is_a_link_goes_on_leading_there(repo: Repo, tmp_path: Path) -> None:
    hooks = repo.path / ".git/hooks"
    (repo.path / "tools").mkdir()
    (repo.path / "tools/push.sh").write_text(OWN.format(log=tmp_path / "log", code=tmp_path / "code"))
    (repo.path / "tools/push.sh").chmod(0o755)
    (hooks / "pre-push").symlink_to("../../tools/push.sh")
    before, tools = picture(hooks), picture(repo.path / "tools")
    assert repo.relay("hooks", "install", "--to", "cat").code == 0
    assert push(repo, "origin", "main:other").code == 0
    assert (tmp_path / "log").read_text().startswith("own pre-push origin")
    assert repo.relay("hooks", "remove").code == 0
    assert (picture(hooks).keys(), picture(repo.path / "tools")) == (before.keys(), tools)
    assert os.readlink(hooks / "pre-push") == "../../tools/push.sh"


def test_the_place_is_where_git_looks(repo: Repo, tmp_path: Path) -> None:
    """core.hooksPath of every sort, a linked worktree, a bare repository."""
    repo.sh("git worktree add -q -b wt ../wt; git init -q --bare ../bare.git")
    common = str(repo.path / ".git/hooks/pre-push")
    assert listing(repo, tmp_path / "wt")["pre-push"][1] == common
    assert repo.relay("hooks", "install", "--to", "cat", cwd=tmp_path / "wt").code == 0
    assert listing(repo)["pre-push"][0] == "installed"
    repo.sh("cd ../wt; echo 1 >>app.py; git commit -qam wt")
    done = push(Repo(tmp_path / "wt", repo.env), "origin", "wt")
    assert done.code == 0 and "passed: cat says pass" in done.err
    assert repo.relay("hooks", "remove").code == 0

    bare = tmp_path / "bare.git"
    assert repo.relay("hooks", "install", cwd=bare).code == 0
    assert listing(repo, bare)["update"][:2] == ("installed", str(bare / "hooks/update"))
    assert push(repo, "../bare.git", "main:refs/heads/relay/x").code == 0, "no session, so somebody else's branch"

    for value, folder in (
        (".git/my-hooks", repo.path / ".git/my-hooks"),
        (str(tmp_path / "absolute"), tmp_path / "absolute"),
        ("~/hooks", tmp_path / "home/hooks"),
        ("untracked", repo.path / "untracked"),
    ):
        repo.git("config", "--global", "core.hooksPath", value)
        done = repo.relay("hooks", "install", "--to", "cat")
        assert done.code == 0, done.err
        assert ("every repository that is configured so" in done.err) == (".git" not in value)
        assert (folder / "pre-push").exists() and listing(repo)["pre-push"][1] == str(folder / "pre-push")
        repo.sh(f"echo '# {value}' >>app.py; git commit -qam more")
        done = push(repo, "origin", "main")
        assert done.code == 0 and "passed: cat says pass" in done.err, value
        assert repo.relay("hooks", "remove").code == 0 and picture(folder) == {}
    repo.git("config", "--global", "core.hooksPath", "/dev/null")
    done = repo.relay("hooks", "install", "--to", "cat")
    assert done.code == 2 and "git runs no hooks here" in done.err


@pytest.mark.parametrize("folder", [".githooks", ".husky/_", "linked"])
def test_a_hooks_folder_of_the_working_tree_is_not_touched(repo: Repo, folder: str) -> None:
    place = repo.path / folder
    if folder == "linked":  # .git/hooks itself leads into the working tree
        (repo.path / ".git/hooks").rename(repo.path / "tracked")
        (repo.path / ".git/hooks").symlink_to("../tracked")
        place = repo.path / "tracked"
    else:
        place.mkdir(parents=True)
        repo.git("config", "core.hooksPath", folder)
    (place / "pre-push").write_text("#!/bin/sh\nexit 0\n")
    if folder != ".husky/_":  # husky makes it anew, and ignores it
        repo.sh(f"git add -f {place.name}; git commit -qm hooks")
    before, config = picture(place), (repo.path / ".git/config").read_bytes()
    done = repo.relay("hooks", "install", "--to", "cat")
    assert done.code == 2 and done.err.count("\n") == 1, done.err
    where = {"linked": "tracked", ".husky/_": ".husky"}.get(folder, folder)
    assert f'add to {where}/pre-push: git relay pre-push "$@"' in done.err
    assert (picture(place), (repo.path / ".git/config").read_bytes()) == (before, config)
    done = repo.relay("hooks", "install", "reference-transaction")
    assert done.code == 2 and f"sh '{SOURCES}/reference-transaction' \"$@\" || exit" in done.err


def test_its_own_hooks_are_known_in_any_version_and_edits_are_not_lost(repo: Repo) -> None:
    hook = repo.path / ".git/hooks/pre-push"
    # as of an older version, and as copied by hand
    hook.write_text("#!/bin/sh\n# gitrelay-hook: 0\nexit 0\n")
    hook.chmod(0o755)
    assert listing(repo)["pre-push"][0] == "outdated"
    assert (
        "updated" in repo.relay("hooks", "install", "--to", "cat").err and listing(repo)["pre-push"][0] == "installed"
    )
    shutil.copy(SOURCES / "pre-push", hook)
    assert listing(repo)["pre-push"][0] == "installed"
    assert repo.relay("hooks", "remove").code == 0 and not hook.exists()
    assert repo.relay("hooks", "install").code == 0
    with hook.open("a") as f:
        f.write("# mine\n")
    assert listing(repo)["pre-push"][0] == "edited"
    edited = hook.read_bytes()
    for action in ("install", "remove"):
        done = repo.relay("hooks", action, "pre-push")
        assert done.code == 2 and "was edited" in done.err and hook.read_bytes() == edited
    assert repo.relay("hooks", "install", "--force").code == 0 and b"# mine" not in hook.read_bytes()
    # somebody else's took its place
    hook.write_text("#!/bin/sh\nexit 0\n")
    done = repo.relay("hooks", "remove", "pre-push")
    assert done.code == 0 and "it is not gitrelay's" in done.err and hook.exists()
    # and beside it something is in use
    (repo.path / ".git/hooks/pre-push.d").mkdir()
    (repo.path / ".git/hooks/pre-push.d/theirs").write_text("x")
    done = repo.relay("hooks", "install")
    assert done.code == 2 and 'add this line to the hook yourself: git relay pre-push "$@"' in done.err


def test_mistakes_are_one_line(repo: Repo, tmp_path: Path) -> None:
    for words, said in (
        (("hooks",), "Missing argument"),
        (("hooks", "instal"), "'instal' is not one of"),
        (("hooks", "install", "pre-commit"), "there is no hook 'pre-commit'"),
        (("hooks", "install"), "pre-push needs a reviewer"),
        (("hooks", "install", "--to", "nobody"), "unknown peer 'nobody'"),
        (("hooks", "install", "--to", "shell"), "cannot be held to read access"),
        (("hooks", "install", "update", "--to", "cat"), "--to belongs to"),
        (("hooks", "list", "update"), "takes no HOOK"),
    ):
        done = repo.relay(*words)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1, done.err
    assert repo.relay("hooks", "list", cwd=tmp_path).code == 2
    assert repo.sh("ls .git/hooks | grep -v sample || true") == ""


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hooks_are_short_sh_and_installed_as_they_are(repo: Repo, hook: str) -> None:
    text = (SOURCES / hook).read_text()
    assert text.startswith("#!/bin/sh\n# gitrelay-hook: ") and text.count("\n") < 120
    subprocess.run(["sh", "-n", str(SOURCES / hook)], check=True, timeout=10)
    assert repo.relay("hooks", "install", hook, *(["--to", "cat"] if hook == "pre-push" else [])).code == 0
    installed = (repo.path / ".git/hooks" / hook).read_text().splitlines()
    assert [line for line in installed if not line.startswith(("# gitrelay-hook", "program="))] == [
        line for line in text.splitlines() if not line.startswith(("# gitrelay-hook", "program="))
    ]
