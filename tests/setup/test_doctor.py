"""`doctor`: what is missing or skewed is named with what mends it, and the exit code says whether a call can work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitrelay import __version__
from gitrelay.peers import probe, registry
from gitrelay.peers.base import Invocation
from gitrelay.setup import agents, skills
from gitrelay.state.folder import State
from support.realcli import PINS, claude_env, codex_env, merged
from support.repo import BIN, Done, Repo, sealed_environment
from support.terminal import on_terminal, required


def argv(name: str) -> list[str]:
    """Every word that gitrelay may give to the peer's program."""
    words: list[str] = []
    peer = registry.BUILT_IN[name]
    for access in peer.capabilities.access:
        scratch = Path(os.environ.get("TMPDIR", "/tmp"))
        words += peer.command(Invocation("", scratch, scratch, access, model="m", effort="e")).argv[1:]
    return words


@dataclass(frozen=True)
class Machine:
    """A sealed machine with a PATH of its own; peers are programs that only know `--version` and `--help`."""

    repo: Repo
    bin: Path

    def give(self, name: str, version: str = "99.0.0", without: str = "") -> Path:
        flags = sorted({word for word in argv(name) if word.startswith("-")} - {without})
        program = self.bin / name
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {self.bin}/{name}.asked\n'
            f'case "$*" in *--help) echo "{" ".join(flags)}";; *--version) echo "{name} {version}";; esac\n'
        )
        program.chmod(0o755)
        return program

    def asked(self, name: str) -> list[str]:
        return (self.bin / f"{name}.asked").read_text().splitlines()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.pathsep.join([str(self.bin), "/usr/local/bin", "/usr/bin", "/bin"])}

    def doctor(self, *args: str, cwd: Path | None = None, **env: str) -> Done:
        return self.repo.relay("doctor", *args, cwd=cwd, env=self.env | env)

    def rows(self, code: int = 0, cwd: Path | None = None, **env: str) -> dict[str, dict[str, str]]:
        done = self.doctor("--json", cwd=cwd, **env)
        assert done.code == code, done.out + done.err
        assert bool(done.json["errors"]) == bool(code)
        return {row["check"]: row for row in done.json["data"]}


@pytest.fixture
def machine(repo: Repo, tmp_path: Path) -> Machine:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git-relay").symlink_to(BIN / "git-relay")
    return Machine(repo, folder)


def test_without_a_peer_no_call_can_work(machine: Machine) -> None:
    done = machine.doctor()
    assert done.code == 4 and done.err == ""
    assert "FAIL  calls" in done.out and "no peer besides shell" in done.out
    rows = machine.rows(4)
    assert rows["peer claude"]["state"] == rows["peer codex"]["state"] == "warn"
    assert "npm install -g @openai/codex" in rows["peer codex"]["fix"]
    assert rows["peer shell"]["state"] == "ok"
    assert not [check for check in rows if check.startswith(("skill", "codex"))]  # nobody here would read it


def test_one_peer_is_enough(machine: Machine) -> None:
    machine.give("claude", "2.1.329")
    rows = machine.rows()
    assert rows["peer claude"]["state"] == "ok" and rows["peer claude"]["found"].startswith("2.1.329, ")
    assert rows["calls"]["state"] == "ok" and "claude" in rows["calls"]["found"]
    assert rows["skill for claude"] == {
        "check": "skill for claude",
        "state": "warn",
        "found": "not installed",
        "fix": "git relay install --agent claude",
    }


def test_a_peer_that_is_too_old(machine: Machine) -> None:
    machine.give("codex", "0.20.0")
    row = machine.rows(4)["peer codex"]
    assert row["state"] == "fail" and "0.20.0" in row["found"] and "0.140" in row["found"]
    assert row["fix"].startswith("npm install -g @openai/codex")


@pytest.mark.parametrize(("name", "flag"), [("claude", "--json-schema"), ("codex", "--output-schema")])
def test_a_flag_that_is_gone_is_named_with_the_version(machine: Machine, name: str, flag: str) -> None:
    machine.give(name, "99.1.2", without=flag)
    row = machine.rows(4)[f"peer {name}"]
    assert row["state"] == "fail"
    assert row["found"] == f"{name} 99.1.2 has no {flag}"


def test_a_program_is_asked_once_for_its_version_and_its_help(machine: Machine) -> None:
    machine.give("codex")
    machine.rows()
    machine.rows()
    assert sorted(machine.asked("codex")) == ["--version", "exec --help"]
    machine.give("codex", "99.1.0", without="--json")
    assert "99.1.0 has no --json" in machine.rows(4)["peer codex"]["found"]


def test_a_program_without_help_is_not_suspected(machine: Machine) -> None:
    program = machine.give("claude")
    program.write_text("#!/bin/sh\ncase $1 in --version) echo 3.0.0;; *) exit 1;; esac\n")
    assert machine.rows()["peer claude"]["state"] == "ok"


def test_a_configured_peer_counts(machine: Machine) -> None:
    machine.repo.git("config", "relay.mine.command", "cat")
    rows = machine.rows()
    assert rows["peer mine"]["state"] == "ok" and "mine" in rows["calls"]["found"]
    machine.repo.git("config", "relay.mine.command", "no-such-program")
    row = machine.rows(4)["peer mine"]
    assert row["state"] == "fail" and "no-such-program" in row["found"] and "relay.mine.command" in row["fix"]


def test_a_bad_setting_is_found_before_a_call(machine: Machine) -> None:
    machine.give("claude")
    machine.repo.git("config", "relay.claude.timeout", "5 parsecs")
    row = machine.rows(4)["peer claude"]
    assert row["state"] == "fail" and "'5 parsecs'" in row["found"]


def test_outside_a_repository(machine: Machine, tmp_path: Path) -> None:
    machine.give("claude")
    place = tmp_path / "nowhere"
    place.mkdir()
    rows = machine.rows(cwd=place)
    assert rows["repository"]["state"] == "warn" and "git init" in rows["repository"]["fix"]
    assert rows["identity"]["found"] == "commits are by Uma User <uma@example.invalid>"
    assert list(place.iterdir()) == []


def test_a_git_folder_that_cannot_be_written(machine: Machine) -> None:
    machine.give("claude")
    (machine.repo.path / ".git/relay").write_text("a file where the folder belongs")
    rows = machine.rows(4)
    assert rows["repository"]["state"] == "fail" and "cannot write" in rows["repository"]["found"]
    assert rows["calls"]["state"] == "fail" and "repository" in rows["calls"]["found"]


def test_identity_and_signing(machine: Machine, tmp_path: Path) -> None:
    machine.give("claude")
    assert machine.rows()["signing"]["found"] == "off"
    machine.repo.git("config", "commit.gpgsign", "true")
    machine.repo.git("config", "gpg.program", "no-such-gpg")
    row = machine.rows(4)["signing"]
    assert row["state"] == "fail" and "no-such-gpg" in row["found"] and "relay.sign false" in row["fix"]
    machine.repo.git("config", "relay.sign", "false")
    assert machine.rows()["signing"]["state"] == "ok"
    empty = tmp_path / "empty"
    empty.write_text("")
    row = machine.rows(GIT_CONFIG_GLOBAL=str(empty))["identity"]
    assert row["state"] == "warn" and "gitrelay@gitrelay.invalid" in row["found"] and "user.name" in row["fix"]


def test_what_a_login_shell_does_not_find(machine: Machine) -> None:
    """Codex runs its commands in one; its profile sets PATH anew."""
    machine.give("codex")
    home = Path(machine.repo.env["HOME"])
    profile = home / (".zprofile" if agents._users_shell().endswith("zsh") else ".profile")
    profile.write_text("PATH=/usr/bin:/bin\n")
    row = machine.rows()["codex's shell"]
    assert row["state"] == "warn" and "git-relay, codex" in row["found"]
    assert row["fix"] == f"echo 'export PATH=\"{machine.bin}:$PATH\"' >> ~/{profile.name}"
    machine.repo.sh(row["fix"])
    assert machine.rows()["codex's shell"]["state"] == "ok"
    if agents._users_shell().endswith("bash"):
        (home / ".bash_profile").write_text("PATH=/usr/bin:/bin\n")  # bash reads this one instead
        assert machine.rows()["codex's shell"]["fix"].endswith(">> ~/.bash_profile")


def follow(machine: Machine, *checks: str) -> None:
    """Do what the rows say, one after the other, until they are ok."""
    for check in checks:
        row = machine.rows()[check]
        if row["state"] != "ok":
            assert machine.repo.relay(*row["fix"].split()[2:]).code == 0, row


def test_what_mends_the_rule_and_the_skills_does(machine: Machine) -> None:
    machine.give("codex")
    machine.give("claude")
    home = Path(machine.repo.env["HOME"])
    checks = ("codex's rule", "skill for claude", "skill for codex")
    assert {machine.rows()[check]["state"] for check in checks} == {"warn"}
    follow(machine, *checks)
    assert {machine.rows()[check]["state"] for check in checks} == {"ok"}
    for path in (".codex/rules/gitrelay.rules", ".claude/skills/relay/SKILL.md", ".agents/skills/relay/SKILL.md"):
        (home / path).write_text((home / path).read_text() + "more\n")
    assert {machine.rows()[check]["fix"].rpartition(" ")[2] for check in checks} == {"--force"}
    follow(machine, *checks)
    assert {machine.rows()[check]["state"] for check in checks} == {"ok"}


def test_a_skewed_skill_names_its_version(machine: Machine) -> None:
    machine.give("claude")
    machine.repo.relay("install", "--agent", "claude")
    path = Path(machine.repo.env["HOME"]) / ".claude/skills/relay/SKILL.md"
    older = skills.source("claude").replace(f'"{__version__}"', '"0.0.9"')
    path.write_text(skills.stamped(older, 1))
    row = machine.rows()["skill for claude"]
    assert row["state"] == "warn" and "of gitrelay 0.0.9" in row["found"]
    assert row["fix"] == "git relay install --agent claude"


def test_a_projects_copy_is_enough(machine: Machine) -> None:
    machine.give("claude")
    machine.repo.relay("install", "--project")
    row = machine.rows()["skill for claude"]
    assert row["state"] == "ok" and row["found"].startswith(str(machine.repo.path))


def test_a_second_skill_for_codex(machine: Machine) -> None:
    machine.give("codex")
    double = Path(machine.repo.env["HOME"]) / ".codex/skills/relay/SKILL.md"
    double.parent.mkdir(parents=True)
    double.write_text("---\nname: relay\ndescription: another\n---\n")
    machine.repo.relay("install", "--agent", "codex")
    done = machine.doctor()
    assert f"{double} is a second skill named relay" in done.out and f"rm -r {double.parent}" in done.out


def test_an_old_plugin_of_claude(machine: Machine) -> None:
    machine.give("claude")
    folder = Path(machine.repo.env["HOME"]) / ".claude/plugins"
    folder.mkdir(parents=True)
    for data in ('{"plugins": {"gitrelay@gitrelay": [{"version": "0.0.9"}]}}', '{"plugins": []}', "no json"):
        (folder / "installed_plugins.json").write_text(data)
        row = machine.rows()["skill for claude"]
        assert row["state"] == "warn"
        assert ("claude plugin update" in row["fix"]) == ("0.0.9" in data)


def test_it_is_a_table_for_people(machine: Machine) -> None:
    machine.give("claude")
    done = machine.doctor()
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["ok", "git"] and lines[-1].startswith("ok    calls")
    assert done.err == "" and "\x1b" not in done.out
    assert "other agents" in done.out and "not installed: codex, copilot, gemini, opencode, qwen" in done.out
    assert "npm install" not in done.out, "one agent works: nobody is told to install three others"
    assert "      git relay install --agent claude" in lines, "a cure has a line of its own"
    machine.repo.git("config", "relay.to", "codex")
    assert "      npm install -g @openai/codex@latest" in machine.doctor().out.splitlines()
    with on_terminal(machine.repo, "doctor", env=machine.env) as seen:
        seen.end()
    assert all(len(line.rstrip()) <= 80 for line in seen.lines)


def test_a_help_that_never_ends_leaves_nothing(
    tmp_path: Path, mark: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture `mark` looks."""
    monkeypatch.setattr(probe, "_LIMIT", 0.3)
    monkeypatch.setenv(*next(iter(mark.items())))
    program = tmp_path / "slow"
    program.write_text(f"#!/bin/sh\n{sys.executable} -c 'import time; time.sleep(600)'\n")
    program.chmod(0o755)
    found = probe.Program("slow", program)
    assert probe.missing_flags(State(tmp_path), found, [["--flag"]]) == []


@pytest.mark.realcli
def test_the_real_clis_have_every_flag_that_calls_use(repo: Repo, tmp_path: Path) -> None:
    home = tmp_path / "home"
    url = "http://127.0.0.1:9"  # the discard port: nothing may be asked
    env = merged(codex_env(home, url), claude_env(home, url), sealed_environment(home))
    done = Repo(repo.path, env).relay("doctor", "--json")
    assert done.code == 0, done.out
    rows = {row["check"]: row for row in done.json["data"]}
    for name in ("codex", "claude"):
        assert rows[f"peer {name}"]["state"] == "ok", rows[f"peer {name}"]
        assert rows[f"peer {name}"]["found"].startswith(PINS[name])
    known = json.loads((repo.path / ".git/relay/flags.json").read_text())
    assert any("--output-schema" in flags for flags in known.values())  # it was read, not skipped
    assert any("--json-schema" in flags for flags in known.values())


def test_hooks_of_gitrelay_are_looked_at(repo: Repo) -> None:
    assert repo.relay("hooks", "install", "reference-transaction").code == 0
    hook = repo.path / ".git/hooks/reference-transaction"
    for state, row in (
        ("ok", str(hook)),
        ("!", f"{hook} is edited"),
    ):
        lines = [line for line in repo.relay("doctor").out.splitlines() if "hook reference-transaction" in line]
        assert len(lines) == 1 and lines[0].startswith(state) and lines[0].endswith(row)
        hook.write_text(hook.read_text() + "# mine\n")


def test_the_man_page_is_put_where_man_looks(machine: Machine) -> None:
    required("man", "man-db")
    home = Path(machine.repo.env["HOME"])
    own = home / ".local/bin"
    own.mkdir(parents=True)
    path = {"PATH": os.pathsep.join([str(own), machine.env["PATH"]])}
    machine.give("claude")
    row = machine.rows(PATH=path["PATH"]).get("man page", {})
    assert row["state"] == "warn" and row["fix"] == "git relay install", row
    rows = machine.repo.relay("install", "--agent", "claude", "--json", env=path).json["data"]
    page = home / ".local/share/man/man1/git-relay.1"
    assert {"file": str(page), "kind": "man", "agents": [], "action": "installed"} in rows
    assert machine.rows(PATH=path["PATH"])["man page"] == {
        "check": "man page",
        "state": "ok",
        "found": str(page),
        "fix": "",
    }
    assert machine.repo.relay("uninstall", env=path).code == 0 and not page.exists()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("mine")
    assert machine.repo.relay("install", env=path).code == 0 and page.read_text() == "mine"


def test_what_grew_without_being_tidied_is_named_with_its_cure(machine: Machine) -> None:
    repo, piles = machine.repo, {"loose objects", "loose refs", "worktrees"}
    assert not piles & set(machine.rows(4))
    repo.git("config", "gc.auto", "100")
    tree, tip = repo.git("rev-parse", "HEAD^{tree}"), repo.git("rev-parse", "HEAD")
    # 400 trees that lie in a file each, 501 branches of sessions, 101 worktrees
    repo.sh(f"for i in $(seq 400); do printf '040000 tree {tree}\\td%s\\n\\n' $i; done | git mktree --batch >/dev/null")
    refs = "".join(f"create refs/heads/relay/s{i} {tip}\n" for i in range(501))
    subprocess.run(["git", "update-ref", "--stdin"], input=refs.encode(), cwd=repo.path, env=repo.env, check=True)
    repo.sh('for i in $(seq 101); do git worktree add -q --detach --no-checkout "../open/$i"; done')
    rows = {check: row for check, row in machine.rows(4).items() if check in piles}
    assert {check: (row["state"], row["fix"]) for check, row in rows.items()} == {
        "loose objects": ("warn", "git gc"),
        "loose refs": ("warn", "git pack-refs --all"),
        "worktrees": ("warn", "git relay close --idle 1h"),
    }
    assert int(rows["loose objects"]["found"].partition(":")[0]) >= 400
    assert rows["loose refs"]["found"].startswith("501 ") and rows["worktrees"]["found"].startswith("101:")
    repo.sh("git pack-refs --all --prune && git gc --quiet --prune=now && rm -r ../open && git worktree prune")
    assert not piles & set(machine.rows(4))
