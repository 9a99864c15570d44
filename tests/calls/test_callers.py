"""The real codex and claude as callers: the model runs `git relay`, and another real CLI answers.

Two scripted models: one plays the caller's, the other the peer's. Codex runs commands in a login shell, so
the test's HOME has a profile that finds git-relay and the peers, as a user's must.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Shell, Step, Text, Tool
from support.realcli import Finished, claude_env, codex_env, merged, require, run
from support.repo import BIN, Repo, sealed_environment

pytestmark = pytest.mark.realcli
LIMIT = 90.0  # seconds for a run in which one CLI calls the other; each takes about three
ONE_PLAIN_COMMAND = "ONE plain command"


@dataclass(frozen=True)
class Machine:
    """Both CLIs set up in one home, each with a model of its own."""

    repo: Repo
    home: Path

    def run(self, argv: Sequence[str | Path], prompt: str) -> Finished:
        return run(argv, cwd=self.repo.path, env=self.repo.env, stdin=prompt, timeout=LIMIT)

    def codex(self, sandbox: str = "workspace-write") -> Finished:
        done = self.run([require("codex"), "exec", "--json", "-s", sandbox, "-"], "Go on.")
        assert done.code == 0, done.err
        return done

    def claude(self, *options: str, prompt: str = "Go on.") -> dict[str, object]:
        done = self.run([require("claude"), "-p", "--output-format", "json", *options], prompt)
        assert done.code == 0, done.err
        value = json.loads(done.out)
        assert isinstance(value, dict)
        return value

    def authors(self, session: str) -> list[str]:
        return self.repo.git("log", "--reverse", "--format=%an: %s", f"relay/{session}").splitlines()[1:]


Place = Callable[[ModelServer, ModelServer], Machine]


@pytest.fixture
def place(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Place:
    """(the model of codex, the model of claude) -> the machine. Nothing that runs there is left behind."""

    def at(codex: ModelServer, claude: ModelServer) -> Machine:
        home = tmp_path / "home"
        both = merged(codex_env(home, codex.url), claude_env(home, claude.url), sealed_environment(home))
        both["PATH"] = os.pathsep.join([str(BIN), both["PATH"]])
        (home / ".profile").write_text(f"export PATH={shlex.quote(both['PATH'])}\n")
        return Machine(Repo(repo.path, both | mark), home)

    return at


def result(server: ModelServer, step: int = 0) -> str:
    """What the tool call of the script's n-th step came back with, as the model sees it."""
    return [r for r in server.requests if r.main][step + 1].tool_results[-1]


# -- codex calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", ["workspace-write", "read-only"])
def test_codex_in_its_sandbox_is_told_how_to_get_out(place: Place, sandbox: str) -> None:
    timed = "time -p git relay req --to shell true"
    with ModelServer([Shell(timed), Text("No.")]) as codex, ModelServer([Answer()]) as claude:
        machine = place(codex, claude)
        machine.codex(sandbox)
    said = result(codex)
    assert "exited with code 4" in said
    (line,) = (line for line in said.splitlines() if line.startswith("git-relay: "))
    assert "Read-only file system" in line
    assert "git relay install --agent codex --allow-codex" in line and ONE_PLAIN_COMMAND in line
    # not the wall clock: with both cores taken that says nothing
    used = {name: float(value) for name, _, value in (row.partition(" ") for row in said.splitlines()[-3:])}
    assert used["user"] + used["sys"] < 2.0
    assert machine.repo.git("for-each-ref", "refs/heads/relay") == ""
    assert not (machine.repo.path / ".relay").exists()


def test_codex_calls_claude(place: Place) -> None:
    ask = "git relay req --to claude --session s --access read 'Is app.py fine?'"
    with (
        ModelServer([Shell(ask), Text("Done.")]) as codex,
        ModelServer([Answer(verify="skip", body="It is, says claude.")]) as claude,
    ):
        machine = place(codex, claude)
        assert machine.repo.relay("install", "--agent", "codex", "--allow-codex").code == 0
        machine.codex()
    said = result(codex)
    assert "exited with code 0" in said and "It is, says claude." in said
    assert "s/01" in said.splitlines() and "status: done" in said
    assert machine.authors("s") == [
        "codex: req 01 codex -> claude: Is app.py fine?",
        "claude: res 01 claude -> codex: done, verify skip",
    ]
    assert "Is app.py fine?" in claude.requests[0].prompt and claude.strays == []


# how a call is written -> whether it leaves codex's sandbox
FORMS = {
    "git relay req --to shell --session SESSION 'echo \"$HOME\"; true'": True,
    'git relay req --to shell --session SESSION "echo it\'s fine >/dev/null || true"': True,
    "git relay req --to shell --session SESSION 'true\ntrue'": True,
    "git relay -C . req --to shell --session SESSION true": False,  # the rule names the verbs that it lets out
    "git relay req --to shell --session SESSION true && echo done": False,
    'git relay req --to shell --session SESSION "echo $HOME"': False,
    "git relay req --to shell --session SESSION - <<'E'\ntrue\nE": False,
    "git relay req --to shell --session SESSION - < app.py": False,
    "cd . && git relay req --to shell --session SESSION true": False,
    "git relay req --to shell --session SESSION true # now": False,
    "NAME=x git relay req --to shell --session SESSION true": False,
}


def test_only_a_plain_command_leaves_codexs_sandbox(place: Place) -> None:
    """What the skill says about the form of a call, measured. A chain of commands that are all allowed gets out too."""
    steps = [Shell(command.replace("SESSION", f"s{number}")) for number, command in enumerate(FORMS)]
    with ModelServer([*steps, Text("Done.")]) as codex, ModelServer([Answer()]) as claude:
        machine = place(codex, claude)
        assert machine.repo.relay("install", "--agent", "codex", "--allow-codex").code == 0
        machine.codex()
    for number, (command, leaves) in enumerate(FORMS.items()):
        said = result(codex, number)
        assert (machine.repo.git("for-each-ref", f"refs/heads/relay/s{number}") != "") == leaves, (command, said)
        assert (ONE_PLAIN_COMMAND in said) != leaves, (command, said)


def test_a_call_goes_on_when_codexs_turn_ends(place: Place) -> None:
    """Codex then kills what still runs: the waiting, and not the call."""
    ask = Tool("exec_command", {"cmd": "git relay req --to claude --session s 'Look.'", "yield_time_ms": 250})
    begun = Shell("until test -e work.begun; do sleep 0.1; done")
    busy = Shell("touch work.begun; for i in $(seq 600); do test -e work.go && break; sleep 0.1; done; echo over")
    with (
        ModelServer([ask, begun, Text("I give up.")]) as codex,
        ModelServer([busy, Answer(body="Late.")]) as claude,
    ):
        machine = place(codex, claude)
        assert machine.repo.relay("install", "--agent", "codex", "--allow-codex").code == 0
        machine.codex()
        (machine.repo.path / "work.go").touch()
        done = machine.repo.relay("wait", "s/01", timeout=LIMIT)
    assert "session ID" in result(codex)  # it had not ended when the model gave up
    assert done.code == 0 and done.out.endswith("\n\nLate.\n"), done.err


# -- claude calls ----------------------------------------------------------------------------------

ASK_CODEX = Shell("git relay req --to codex --session s --access read 'Is app.py fine?'")


@pytest.mark.parametrize(
    ("first", "options", "prompt"),
    [
        ((), (), "/relay Ask codex."),  # the person's slash command: the skill's own allowed-tools
        (
            (Tool("Skill", {"skill": "relay"}),),
            ("--allowedTools", "Skill(relay)"),
            "Ask codex.",
        ),  # the model's own idea
        ((), ("--allowedTools", "Bash(git relay:*)"), "Ask codex."),  # allowed by the person
    ],
    ids=["slash", "skill", "allowed"],
)
def test_claude_calls_codex_unasked(
    place: Place, first: tuple[Step, ...], options: tuple[str, ...], prompt: str
) -> None:
    with (
        ModelServer([Answer(verify="pass", body="It is, says codex.")]) as codex,
        ModelServer([*first, ASK_CODEX, Text("Done.")]) as claude,
    ):
        machine = place(codex, claude)
        assert machine.repo.relay("install").code == 0
        value = machine.claude(*options, prompt=prompt)
    assert value["permission_denials"] == []
    said = result(claude, len(first))
    assert "It is, says codex." in said and "verify: pass" in said
    assert machine.authors("s") == [
        "claude: req 01 claude -> codex: Is app.py fine?",
        "codex: res 01 codex -> claude: done, verify pass",
    ]
    assert "Is app.py fine?" in codex.requests[0].prompt and codex.strays == []


def test_claude_asks_where_nothing_allows_it(place: Place) -> None:
    """The seal of the tests above: without skill or option the command is refused, and nothing is called."""
    with ModelServer([Answer()]) as codex, ModelServer([ASK_CODEX, Text("Done.")]) as claude:
        machine = place(codex, claude)
        value = machine.claude()
    assert value["permission_denials"] != []
    assert "requires approval" in result(claude)
    assert codex.requests == [] and machine.repo.git("for-each-ref", "refs/heads/relay") == ""


def test_claude_sees_a_verdict_of_fail_as_a_failed_command(place: Place) -> None:
    with (
        ModelServer([Answer(verify="fail", body="Two tests fail.")]) as codex,
        ModelServer([ASK_CODEX, Text("Done.")]) as claude,
    ):
        machine = place(codex, claude)
        assert machine.repo.relay("install").code == 0
        machine.claude(prompt="/relay Ask codex.")
    said = result(claude)
    assert "Exit code 1" in said and "verify: fail" in said and "Two tests fail." in said
