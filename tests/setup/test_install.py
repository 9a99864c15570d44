"""`install` and `uninstall`: whose file it is decides what happens to it, and nothing of ours stays behind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitrelay import __version__
from gitrelay.setup import skills
from support.places import ROOT
from support.repo import Done, Repo, sealed_environment

RULE = skills.RULE
SKILLS = {".claude/skills/relay/SKILL.md": "claude", ".agents/skills/relay/SKILL.md": "agents"}


@pytest.fixture
def home(repo: Repo) -> Path:
    return Path(repo.env["HOME"])


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every path below the folder, with its bytes; None for a folder. `.gitconfig` is the fixture's own."""
    paths = (p for p in folder.rglob("*") if p.name != ".gitconfig" and ".git" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}


def actions(done: Done, code: int = 0) -> dict[str, str]:
    """{file name in its place: action} of an envelope."""
    assert done.code == code, done.err
    return {"/".join(Path(row["file"]).parts[-4:]): row["action"] for row in done.json["data"]}


def source(name: str) -> str:
    return (ROOT / "skills" / name / "relay" / "SKILL.md").read_text()


def unstamped(path: Path) -> str:
    return re.sub(r'^(  |# )gitrelay-stamp: "[0-9a-f]{16} \d+"\n', "", path.read_text(), flags=re.M)


@pytest.mark.fast
def test_two_files_serve_all_agents(repo: Repo, home: Path) -> None:
    done = repo.relay("install")
    assert done.code == 0 and done.out == ""
    assert RULE in done.err and "--allow-codex" in done.err and "Bash(git relay:*)" in done.err
    assert sorted(path for path, data in everything(home).items() if data is not None) == sorted(SKILLS)
    for path, name in SKILLS.items():
        assert unstamped(home / path) == source(name)


def test_again_changes_nothing(repo: Repo, home: Path) -> None:
    repo.relay("install")
    before = everything(home)
    again = actions(repo.relay("install", "--json"))
    assert {again[path] for path in SKILLS} == {"unchanged"}
    assert everything(home) == before


def test_nothing_is_left(repo: Repo, home: Path) -> None:
    assert repo.relay("install", "--allow-codex").code == 0
    assert (home / ".codex/rules/gitrelay.rules").read_text().endswith(f"\n{RULE}\n")
    assert set(actions(repo.relay("uninstall", "--json")).values()) == {"removed"}
    assert everything(home) == {}
    assert "nothing to remove" in repo.relay("uninstall").err


def test_folders_that_were_there_stay(repo: Repo, home: Path) -> None:
    (home / ".claude/skills").mkdir(parents=True)
    (home / ".codex").mkdir()
    (home / ".agents").mkdir()
    (home / ".agents/notes.md").write_text("mine")
    before = everything(home)
    repo.relay("install", "--allow-codex")
    repo.relay("install", "--allow-codex")
    repo.relay("uninstall")
    assert everything(home) == before


def test_what_somebody_put_beside_it_stays(repo: Repo, home: Path) -> None:
    repo.relay("install")
    (home / ".claude/skills/relay/notes.md").write_text("mine")
    repo.relay("uninstall")
    assert [path for path, data in everything(home).items() if data] == [".claude/skills/relay/notes.md"]


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "opencode"])
def test_one_agent(repo: Repo, home: Path, agent: str) -> None:
    assert repo.relay("install", "--agent", agent).code == 0
    (path,) = (path for path, data in everything(home).items() if data)
    assert path == (".claude" if agent == "claude" else ".agents") + "/skills/relay/SKILL.md"
    assert repo.relay("uninstall", "--agent", "codex" if agent == "claude" else "claude").code == 0
    assert (home / path).exists()
    assert repo.relay("uninstall", "--agent", agent).code == 0
    assert everything(home) == {}


def test_the_agents_own_variables_are_honoured(repo: Repo, home: Path, tmp_path: Path) -> None:
    env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "c c"), "CODEX_HOME": str(tmp_path / "x")}
    assert repo.relay("install", "--allow-codex", env=env).code == 0
    assert (tmp_path / "c c/skills/relay/SKILL.md").is_file()
    assert (tmp_path / "x/rules/gitrelay.rules").is_file()
    assert {path for path, data in everything(home).items() if data} == {".agents/skills/relay/SKILL.md"}
    assert repo.relay("uninstall", env=env).code == 0
    assert not (tmp_path / "c c").exists() and not (tmp_path / "x").exists() and everything(home) == {}


def test_in_the_working_tree(repo: Repo, home: Path) -> None:
    (repo.path / "sub").mkdir()
    done = repo.relay("install", "--project", cwd=repo.path / "sub")
    assert done.code == 0, done.err
    assert everything(home) == {}
    for path, name in SKILLS.items():
        assert unstamped(repo.path / path) == source(name)
    assert repo.git("status", "--porcelain") == "?? .agents/\n?? .claude/"
    assert repo.relay("uninstall", "--project").code == 0
    assert repo.git("status", "--porcelain", "--ignored") == ""
    assert not (repo.path / ".claude").exists() and not (repo.path / ".agents").exists()


def test_a_tree_that_converts_line_ends_has_edited_nothing(repo: Repo) -> None:
    repo.relay("install", "--project")
    path = repo.path / ".claude/skills/relay/SKILL.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert set(actions(repo.relay("install", "--project", "--agent", "claude", "--json")).values()) == {"unchanged"}


def test_project_needs_a_working_tree(repo: Repo, tmp_path: Path) -> None:
    assert repo.relay("install", "--project", cwd=tmp_path).code == 2
    repo.sh("git init -q --bare ../bare.git")
    assert repo.relay("install", "--project", cwd=tmp_path / "bare.git").code == 2


def edit(path: Path) -> str:
    text = path.read_text().replace("# relay: ask", "# relay: always ask")
    path.write_text(text)
    return text


def test_an_edited_file_is_not_overwritten(repo: Repo, home: Path) -> None:
    repo.relay("install")
    path = home / ".claude/skills/relay/SKILL.md"
    text = edit(path)
    (home / ".agents/skills/relay/SKILL.md").unlink()
    done = repo.relay("install")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert str(path) in line and "was edited" in line and "--force" in line
    assert path.read_text() == text
    assert not (home / ".agents/skills/relay/SKILL.md").exists()  # nothing was written
    assert repo.relay("install", "--force").code == 0
    assert unstamped(path) == source("claude")


def test_an_edited_file_survives_uninstall(repo: Repo, home: Path) -> None:
    repo.relay("install", "--allow-codex")
    path = home / ".claude/skills/relay/SKILL.md"
    rule = home / ".codex/rules/gitrelay.rules"
    text = edit(path)
    rule.write_text(rule.read_text() + 'prefix_rule(pattern=["ls"], decision="allow")\n')
    done = repo.relay("uninstall", "--json")
    found = actions(done)
    assert found[".claude/skills/relay/SKILL.md"] == "kept" and found[".agents/skills/relay/SKILL.md"] == "removed"
    assert path.read_text() == text and rule.exists()
    assert repo.relay("uninstall", "--force").code == 0
    assert everything(home) == {}


def test_a_file_of_somebody_else(repo: Repo, home: Path) -> None:
    path = home / ".agents/skills/relay/SKILL.md"
    path.parent.mkdir(parents=True)
    for data in (b"---\nname: relay\ndescription: another\n---\n", b"\xff\xfe", b""):
        path.write_bytes(data)
        done = repo.relay("install", "--agent", "codex")
        assert done.code == 2 and "is not gitrelay's" in done.err and str(path) in done.err
        assert repo.relay("uninstall", "--force").code == 0
        assert path.read_bytes() == data
    assert repo.relay("install", "--agent", "codex", "--force").code == 0
    assert unstamped(path) == source("agents")


def test_an_older_version_is_updated_and_a_copy_by_hand_is_known(repo: Repo, home: Path) -> None:
    repo.relay("install", "--agent", "claude")
    path = home / ".claude/skills/relay/SKILL.md"
    older = "from gitrelay.setup import skills as install; import sys; " + (
        'text = install.source("claude").replace(f\'"{install.__version__}"\', \'"0.0.9"\'); '
        "open(sys.argv[1], 'w').write(install.stamped(text + 'old words\\n', 3))"
    )
    subprocess.run([sys.executable, "-c", older, str(path)], cwd=ROOT, check=True, timeout=60)
    assert '"0.0.9"' in path.read_text()
    assert actions(repo.relay("install", "--agent", "claude", "--json")) == {".claude/skills/relay/SKILL.md": "updated"}
    assert unstamped(path) == source("claude")
    path.write_text(source("claude"))
    found = actions(repo.relay("install", "--agent", "claude", "--json"))
    assert found == {".claude/skills/relay/SKILL.md": "unchanged"}
    assert repo.relay("uninstall").code == 0
    assert not path.parent.exists()


@pytest.mark.parametrize("link", ["SKILL.md", "relay"])
@pytest.mark.parametrize("force", [False, True])
def test_a_link_is_refused(repo: Repo, home: Path, tmp_path: Path, link: str, force: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "SKILL.md").write_text("precious")
    place = home / ".claude/skills" / ("relay/SKILL.md" if link == "SKILL.md" else "relay")
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere / "SKILL.md" if link == "SKILL.md" else elsewhere)
    for verb in ("install", "uninstall"):
        done = repo.relay(verb, *(["--force"] if force else []))
        assert done.code == 2 and "symbolic link" in done.err and len(done.err.splitlines()) == 1
    assert place.is_symlink() and (elsewhere / "SKILL.md").read_text() == "precious"
    assert not (home / ".agents").exists()


@pytest.mark.parametrize("link", [".claude", ".claude/skills", ".agents/skills/relay"])
def test_no_link_in_a_cloned_tree_is_followed(repo: Repo, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (repo.path / link).parent.mkdir(parents=True, exist_ok=True)
    (repo.path / link).symlink_to(elsewhere)
    done = repo.relay("install", "--project", "--force")
    assert done.code == 2 and "symbolic link" in done.err
    assert list(elsewhere.iterdir()) == []


def test_a_home_made_of_links_works(repo: Repo, home: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles/claude").mkdir(parents=True)
    (home / ".claude").symlink_to(tmp_path / "dotfiles/claude")
    assert repo.relay("install").code == 0
    assert (tmp_path / "dotfiles/claude/skills/relay/SKILL.md").is_file()
    assert repo.relay("uninstall").code == 0
    assert (home / ".claude").is_symlink() and list((tmp_path / "dotfiles/claude").iterdir()) == []


def test_one_folder_for_all_agents_holds_the_common_text(repo: Repo, home: Path) -> None:
    (home / ".agents/skills").mkdir(parents=True)
    (home / ".claude").mkdir()
    (home / ".claude/skills").symlink_to(home / ".agents/skills")
    for _ in range(2):
        assert repo.relay("install").code == 0
        assert unstamped(home / ".agents/skills/relay/SKILL.md") == source("agents")
    assert repo.relay("uninstall").code == 0
    assert list((home / ".agents/skills").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(repo: Repo, home: Path) -> None:
    (home / ".claude").write_text("a file where a folder belongs")
    done = repo.relay("install", "--agent", "claude")
    assert done.code == 4
    (line,) = done.err.splitlines()
    assert "cannot write" in line and ".claude/skills/relay/SKILL.md" in line


def test_a_second_skill_for_codex_is_named(repo: Repo, home: Path) -> None:
    double = home / ".codex/skills/relay/SKILL.md"
    double.parent.mkdir(parents=True)
    shutil.copy(ROOT / "skills/codex/relay/SKILL.md", double)
    assert str(double) in repo.relay("install").err


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("install", "--agent", "emacs"), "emacs"),
        (("install", "--agent", "claude", "--allow-codex"), "--agent codex"),
        (("uninstall", "extra"), "extra"),
    ],
)
def test_wrong_words(repo: Repo, home: Path, args: tuple[str, ...], word: str) -> None:
    done = repo.relay(*args)
    assert done.code == 2 and word in done.err and len(done.err.splitlines()) == 1
    assert everything(home) == {}


def test_the_envelopes_have_the_documented_keys(repo: Repo) -> None:
    text = (ROOT / "docs/json.md").read_text()
    for name, args in (("`install` and", ("install",)), ("`install` and", ("uninstall",)), ("`doctor`", ("doctor",))):
        table = text[text.index(name) :].partition("\n\n")[2].partition("\n\n")[0]
        done = repo.relay(*args, "--json")
        value = done.json
        assert (value["command"], value["exit_code"]) == (args[0], done.code)
        assert set(value["data"][0]) == set(re.findall(r"^\| `(\w+)` \|", table, re.M))


def test_the_rule_is_offered_once_it_is_not_there(repo: Repo) -> None:
    rule = ".codex/rules/gitrelay.rules"
    found = {name.partition("/")[2]: action for name, action in actions(repo.relay("install", "--json")).items()}
    assert found[rule] == "offered"
    repo.relay("install", "--allow-codex")
    assert "gitrelay.rules" not in repo.relay("install", "--json").out


def test_the_wheel_carries_the_skills(tmp_path: Path) -> None:
    """Built and unpacked, not installed: its package data must be enough, without the checkout."""
    command = [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=170, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    env = sealed_environment(tmp_path / "home") | {"PYTHONPATH": str(tmp_path / "unpacked")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gitrelay", "install"], env=env, cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for path, name in SKILLS.items():
        assert unstamped(tmp_path / "home" / path) == source(name)


def test_versions_agree() -> None:
    for name in ("claude", "codex", "agents"):
        assert f'\n  gitrelay: "{__version__}"\n' in source(name)
    assert f'"version": "{__version__}"' in (ROOT / ".claude-plugin/plugin.json").read_text()
