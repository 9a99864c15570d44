"""The skills: agents list and load them, every command in them runs as it stands, and they do not drift apart."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from gitrelay.cli import VERBS, group
from gitrelay.errors import EXIT_CODES
from support.model_server import Answer, ModelServer, Step, Text, Tool
from support.places import ROOT
from support.realcli import claude_env, codex_env, require, run
from support.repo import Done, Repo, sealed_environment

pytestmark = pytest.mark.slow

NAMES = ("claude", "codex", "agents")
TEXTS = ("claude", "agents")  # codex has the text of agents
OPEN_FORMAT = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}  # agentskills.io
LIMIT = 60.0  # seconds for a run of a real CLI; each takes about one


def text_of(name: str) -> str:
    return (ROOT / "skills" / name / "relay" / "SKILL.md").read_text()


def header(name: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    value = yaml.safe_load(text_of(name).split("---\n")[1])
    assert isinstance(value, dict)
    return value


def sections(name: str) -> dict[str, str]:
    """{heading: text} of the body, the part before the first heading under ''."""
    body = text_of(name).split("---\n", 2)[2]
    found = re.split(r"^## (.*)\n", "## \n" + body, flags=re.M)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def commands(name: str) -> list[str]:
    """The commands of a skill, or of the page that it refers to."""
    text = (ROOT / "docs/agents.md").read_text() if name == "agents.md" else text_of(name)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


# -- the texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_format_is_what_every_agent_loads(name: str) -> None:
    value = header(name)
    assert set(value) <= OPEN_FORMAT
    assert value["name"] == "relay"  # and the folder's
    assert 1 <= len(value["description"]) <= 1024 and "<" not in value["description"]
    assert all(isinstance(v, str) for v in value["metadata"].values())
    assert len(text_of(name).splitlines()) <= 130


def test_claude_may_run_it_unasked() -> None:
    assert header("claude")["allowed-tools"] == "Bash(git relay:*)"


def test_codex_has_the_open_text() -> None:
    """It reads ~/.agents/skills; a copy of its own beside that one would make it load neither (measured, 0.169)."""
    assert text_of("codex") == text_of("agents")


def test_what_the_skills_share_is_the_same() -> None:
    claude, others = sections("claude"), sections("agents")
    assert list(claude) == list(others)
    own = {"Calls that take long", "When it does not run"}
    for heading in set(claude) - own:
        assert (
            claude[heading].replace("--to codex", "--to claude").replace("--build codex", "--build claude")
            == others[heading]
        ), heading
    for heading in own:
        assert claude[heading] != others[heading]


@pytest.mark.parametrize("name", NAMES)
def test_every_exit_code_says_what_to_do(name: str) -> None:
    table = re.findall(r"^\| ([0-9, ]+) \|", sections(name)["Read the answer"], re.M)
    assert [int(code) for row in table for code in row.split(", ")] == list(EXIT_CODES)


@pytest.mark.parametrize("name", NAMES)
def test_every_mention_of_a_command_is_one(name: str) -> None:
    """Also those in the running text: the verb exists and has the options."""
    context = click.Context(group, info_name="git-relay")
    mentions = re.findall(r"`git relay ([a-z]+)([^`]*)`", text_of(name))
    mentions += [tuple(line.removeprefix("git relay ").split(" ", 1)) for line in commands(name) if " " in line[10:]]
    assert len(mentions) > 10
    for verb, rest in mentions:
        assert verb in VERBS
        command = group.get_command(context, verb)
        assert command is not None
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        words = re.sub(r"'[^']*'", "", rest)
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words)) <= options, f"{verb} {rest}"
    bare = set(re.findall(r"(?<![\w`-])`?(--[a-z][a-z-]+)", text_of(name)))
    known = {o for v in VERBS for p in group.get_command(context, v).params for o in p.opts}  # type: ignore[union-attr]
    assert bare <= known


# -- every command runs ----------------------------------------------------------------------------


@pytest.fixture
def place(repo: Repo) -> Repo:
    """A repository with what the examples speak of, in which every agent answers without being asked anything."""
    repo.sh(
        """
        mkdir src notes
        echo 'def login(): ...' > src/auth.py; echo 'Port the parser.' > notes/task.md
        echo 'def test_it(): pass' > test_it.py
        git add -A; git commit -qm 'files'
        for peer in codex claude gemini; do
          git config relay.$peer.command "sh -c 'cat >/dev/null; echo fine'"
          git config relay.$peer.plain true
        done
        """
    )
    return repo


def words_of(line: str) -> list[str]:
    """The words of a command that is plain: shell syntax in it would keep it in codex's sandbox."""
    plain = re.sub(r"'[^']*'", "", line)
    assert not re.search(r"[|&;<>$`\"\\#()*]", plain), line
    words = shlex.split(line)
    assert words[:2] == ["git", "relay"]
    return words[2:]


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_runs(place: Repo, name: str) -> None:
    done: dict[str, Done] = {}
    for line in commands(name):
        found = done[line] = place.relay(*words_of(line))
        assert found.code == 0, f"{line}\n{found.out}\n{found.err}"
    assert len(done) >= 12
    peer = "codex" if name == "claude" else "claude"
    asked = [s.partition(":")[0] for s in place.subjects("auth-refactor") if s.startswith("req")]
    assert asked == [f"req 01 uma-user -> {peer}", f"req 02 uma-user -> {peer}", "req 03 uma-user -> shell"]


def test_every_command_of_the_second_page_runs(place: Repo) -> None:
    for line in commands("agents.md"):
        found = place.relay(*words_of(line))
        assert found.code == 0, f"{line}\n{found.out}\n{found.err}"
    assert all("git relay help agents" in text_of(name) for name in NAMES)


@pytest.mark.parametrize("name", TEXTS)
def test_repeating_a_call_with_its_key_pays_once(place: Repo, name: str) -> None:
    line = next(line for line in commands(name) if "--key" in line)
    first, second = place.relay(*words_of(line)), place.relay(*words_of(line))
    assert (first.code, first.raw) == (second.code, second.raw)
    assert len([s for s in place.subjects("auth-refactor") if s.startswith("req")]) == 1


@pytest.mark.parametrize("name", TEXTS)
def test_a_call_that_outlasts_the_tool(place: Repo, name: str) -> None:
    """As the skill says: exit 8 with the address, then wait for it, again and again, until it is not 8."""
    place.git(
        "config", "relay.codex.command", "sh -c 'cat >/dev/null; until test -e go; do sleep 0.1; done; echo over'"
    )
    place.git("config", "relay.claude.command", place.git("config", "relay.codex.command"))
    line = next(line for line in commands(name) if "--session auth-refactor" in line)
    asked = place.relay(*words_of(line.replace("540s", "1s")))
    assert asked.code == 8 and asked.out == ""
    assert asked.err.splitlines()[0] == "auth-refactor/01" and "git relay wait auth-refactor/01" in asked.err
    waiting = next(line for line in commands(name) if line.startswith("git relay wait")).replace("/02", "/01")
    assert place.relay(*words_of(waiting.replace("540s", "1s"))).code == 8
    (place.path / "go").touch()
    done = place.relay(*words_of(waiting))
    assert done.code == 0 and done.out.endswith("\n\nover\n")


# -- the real agents list and load them ------------------------------------------------------------


def install(repo: Repo, home: Path, env: Mapping[str, str], *options: str) -> None:
    done = Repo(repo.path, sealed_environment(home) | {k: v for k, v in env.items() if k != "PATH"}).relay(
        "install", *options
    )
    assert done.code == 0, done.err


@pytest.mark.realcli
@pytest.mark.parametrize("level", ["--user", "--project"])
def test_codex_lists_the_skill(repo: Repo, tmp_path: Path, level: str) -> None:
    home = tmp_path / "codex"
    with ModelServer([Answer()]) as server:
        env = codex_env(home, server.url)
        argv: list[str | Path] = [require("codex"), "exec", "--json", "-s", "read-only", "-"]
        run(argv, cwd=repo.path, env=env, stdin="Say hello.", timeout=LIMIT)
        install(repo, home, env, level)
        done = run(argv, cwd=repo.path, env=env, stdin="Say hello.", timeout=LIMIT)
    assert done.code == 0, done.err
    description = header("agents")["description"]
    before, after = (json.dumps(r.body, ensure_ascii=False) for r in server.requests)
    assert f"- relay: {description} (file: " not in before
    assert after.count(f"- relay: {description} (file: ") == 1
    assert "SKILL.md" not in done.err  # no complaint about the file


@pytest.mark.realcli
def test_codex_loads_the_skill_that_is_named(repo: Repo, tmp_path: Path) -> None:
    home = tmp_path / "codex"
    with ModelServer([Answer()]) as server:
        env = codex_env(home, server.url)
        install(repo, home, env)
        argv: list[str | Path] = [require("codex"), "exec", "--json", "-s", "read-only", "-"]
        run(argv, cwd=repo.path, env=env, stdin="Use $relay to ask claude.", timeout=LIMIT)
        double = home / ".codex/skills/relay/SKILL.md"
        double.parent.mkdir(parents=True)
        double.write_text(text_of("codex"))
        run(argv, cwd=repo.path, env=env, stdin="Use $relay to ask claude.", timeout=LIMIT)
    alone, beside = (json.dumps(r.body, ensure_ascii=False) for r in server.requests)
    assert "ONE plain command per tool call" in alone
    # why gitrelay puts none into codex's own folder; when this fails, codex has learnt to choose
    assert "ONE plain command per tool call" not in beside


@pytest.mark.realcli
@pytest.mark.parametrize("level", ["--user", "--project"])
def test_claude_lists_the_skill(repo: Repo, tmp_path: Path, level: str) -> None:
    home = tmp_path / "claude"
    with ModelServer([Text("Hello.")]) as server:
        env = claude_env(home, server.url)
        argv: list[str | Path] = [require("claude"), "-p", "--output-format", "stream-json", "--verbose"]
        run(argv, cwd=repo.path, env=env, stdin="Say hello.", timeout=LIMIT)
        install(repo, home, env, level)
        done = run(argv, cwd=repo.path, env=env, stdin="Say hello.", timeout=LIMIT)
    assert done.code == 0, done.err
    before, after = (json.dumps(r.body, ensure_ascii=False) for r in server.requests if r.main)
    description = header("claude")["description"]
    assert f"relay: {description}" not in before
    assert after.count(f"relay: {description}") == 1
    skills = next(event["skills"] for event in done.events if event.get("subtype") == "init")
    assert isinstance(skills, list) and skills.count("relay") == 1


@pytest.mark.realcli
@pytest.mark.parametrize("how", ["/relay Ask codex.", "Ask codex."])
def test_claude_loads_the_skill(repo: Repo, tmp_path: Path, how: str) -> None:
    """By its slash command, or by the model's own Skill tool where the user has allowed that."""
    home = tmp_path / "claude"
    script: list[Step] = (
        [Text("Hello.")] if how.startswith("/") else [Tool("Skill", {"skill": "relay"}), Text("Hello.")]
    )
    with ModelServer(script) as server:
        env = claude_env(home, server.url)
        install(repo, home, env)
        argv: list[str | Path] = [require("claude"), "-p", "--allowedTools", "Skill(relay)"]
        done = run(argv, cwd=repo.path, env=env, stdin=how, timeout=LIMIT)
    assert done.code == 0, done.err
    assert "ONE plain command per tool call" in json.dumps([r.body for r in server.requests if r.main][-1])


# -- the plugin ------------------------------------------------------------------------------------


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """What a marketplace's clone has: the manifests, the skills and the README, without the rest of the checkout."""
    folder = tmp_path / "plugin"
    for path in (".claude-plugin", "skills", "README.md"):
        source = ROOT / path
        files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
        for file in files:
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return folder


def claude(home: Path, url: str, *args: str, cwd: Path) -> str:
    done = run([require("claude"), *args], cwd=cwd, env=claude_env(home, url), stdin="", timeout=LIMIT)
    assert done.code == 0, done.out + done.err
    return done.out


@pytest.mark.realcli
def test_the_plugin_is_valid(plugin: Path, tmp_path: Path) -> None:
    with ModelServer([Text("Hello.")]) as server:
        for manifest in ("plugin.json", "marketplace.json"):
            out = claude(
                tmp_path / "home",
                server.url,
                *("plugin", "validate", "--strict", "--json", str(plugin / ".claude-plugin" / manifest)),
                cwd=tmp_path,
            )
            report = json.loads(out)
            assert report["success"] and not report["manifest"]["errors"] and not report["manifest"]["warnings"], out
    assert server.requests == []


@pytest.mark.realcli
def test_the_repository_is_a_marketplace(repo: Repo, plugin: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ModelServer([Text("Hello.")]) as server:
        claude(home, server.url, "plugin", "marketplace", "add", str(plugin), cwd=tmp_path)
        claude(home, server.url, "plugin", "install", "gitrelay@gitrelay", cwd=tmp_path)
        claude(home, server.url, "-p", "Say hello.", cwd=repo.path)
        tool = Repo(repo.path, {**claude_env(home, server.url)})
        row = next(r for r in tool.relay("doctor", "--json").json["data"] if r["check"] == "skill for claude")
    body = json.dumps(next(r.body for r in server.requests if r.main), ensure_ascii=False)
    assert f"gitrelay:relay: {header('claude')['description']}" in body
    assert body.count(header("claude")["description"]) == 1  # of the three copies in skills/, only claude's
    assert (row["state"], row["fix"]) == ("ok", "") and "plugin" in row["found"]
