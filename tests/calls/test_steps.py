"""What a peer says it did: recorded if `relay.steps` allows it, redacted, bounded, never in the way of an answer."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from support.repo import Done, Repo

REF = "refs/relay/steps/s"
KEY = "ghp_" + "abCdEf0123456789" * 2 + "ZZZZ"
HOSTILE: list[Any] = [
    None,
    [],
    {"type": []},
    {"type": "item.completed", "item": {"type": "file_change", "changes": [1, {}]}},
]


def command(id_: str, line: str, code: int) -> list[dict[str, Any]]:
    item = {"id": id_, "type": "command_execution", "command": line}
    return [{"type": "item.started", "item": item}, {"type": "item.completed", "item": item | {"exit_code": code}}]


EVENTS: list[Any] = [
    {"type": "thread.started", "thread_id": "00000000-0000-4000-8000-000000000000"},
    *command("1", "pytest -q\n\x1b[31m\u202emore", 1),
    *command("2", f"curl -H 'Authorization: token {KEY}' https://example.invalid", 0),
    {"type": "item.completed", "item": {"type": "file_change", "changes": [{"kind": "update", "path": "app.py"}]}},
    {"type": "item.completed", "item": {"type": "web_search", "query": "git worktree <script>"}},
    {"type": "item.completed", "item": {"type": "reasoning", "text": "I think"}},
    {"type": "error", "message": "Reconnecting... 1/5 (stream closed)"},
    *HOSTILE,
]
ANSWER = json.dumps({"status": "done", "verify": "pass", "body": "Done."})
END: list[Any] = [
    {"type": "item.completed", "item": {"id": "9", "type": "agent_message", "text": ANSWER}},
    {"type": "turn.completed", "usage": {"input_tokens": 1, "cached_input_tokens": 0, "output_tokens": 1}},
]


class Codex:
    """A repository whose `codex` prints the events that it is given."""

    def __init__(self, repo: Repo, folder: Path) -> None:
        self.repo, self.lines = repo, folder / "events"
        script = folder / "bin" / "codex"
        script.parent.mkdir()
        script.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo "codex-cli 0.200.0" && exit\n'
            f"cat > /dev/null\ncat {shlex.quote(str(self.lines))}\n"
        )
        script.chmod(0o755)
        self.env = {"PATH": os.pathsep.join([str(script.parent), repo.env["PATH"]])}

    def ask(self, events: list[Any], *words: str) -> Done:
        self.lines.write_text("".join(json.dumps(event) + "\n" for event in [*events, *END]))
        done = self.repo.relay("req", "--from", "uma", "--to", "codex", "--session", "s", *words, "Go.", env=self.env)
        assert done.code == 0, done.err + done.out
        return done


@pytest.fixture
def codex(repo: Repo, tmp_path: Path) -> Codex:
    return Codex(repo, tmp_path)


def test_steps_are_recorded_where_they_are_allowed(codex: Codex, tmp_path: Path) -> None:
    repo = codex.repo
    codex.ask(EVENTS)
    assert repo.git("for-each-ref", "refs/relay/steps/") == "", "off by default"
    assert "no steps are recorded" in repo.relay("show", "s/01", "--steps").err
    repo.git("config", "relay.steps", "true")
    codex.ask(EVENTS)
    codex.ask([])
    codex.ask(EVENTS[1:3])
    assert (
        repo.git("log", "--reverse", "--format=%an %s", REF)
        == "codex stp 02 codex: 5 steps\ncodex stp 04 codex: 1 step"
    )
    assert repo.git("ls-tree", "--name-only", REF) == "02.steps.jsonl\n04.steps.jsonl"
    shown = repo.relay("show", "s/02", "--steps").out.splitlines()
    assert shown[0] == "s/02: 5 steps, as codex's own events tell"
    assert [line.split("s  ", 1)[1].split() for line in shown[1:]][:1] == [["run", "pytest", "-q", "more", "exit", "1"]]
    assert [line.split()[1] for line in shown[1:]] == ["run", "run", "edit", "search", "retry"]
    assert KEY not in repo.git("show", f"{REF}:02.steps.jsonl") and "curl" in shown[2] and shown[2].endswith("exit 0")
    (row,) = repo.relay("show", "s/04", "--steps", "--json").json["data"]
    assert [(s["kind"], s["exit"], s["ok"]) for s in row["steps"]] == [("run", 1, False)] and row["steps_left_out"] == 0
    (none,) = repo.relay("show", "s/03", "--steps", "--json").json["data"]
    assert none["steps"] is None
    assert repo.relay("export", "-o", str(tmp_path / "site")).code == 0
    page = (tmp_path / "site/sessions/s.html").read_text()
    assert page.count('aria-label="Steps"') == 2 and "git worktree &lt;script&gt;" in page
    assert repo.relay("fsck").code == 0 and repo.relay("scan").code == 0
    repo.relay("archive", "s")
    assert repo.relay("show", "s/02", "--steps").out.splitlines() == shown and repo.relay("fsck").code == 0
    repo.git("config", "relay.steps", "perhaps")
    bad = repo.relay("req", "--to", "shell", "true")
    assert bad.code == 2 and "relay.steps 'perhaps'" in bad.err and "git config relay.steps true" in bad.err


def test_steps_are_bounded_and_read_access_holds(codex: Codex) -> None:
    repo = codex.repo
    repo.git("config", "relay.steps", "true")
    many = [event for number in range(600) for event in command(str(number), f"echo {number} " + "w" * 5000, 0)]
    done = codex.ask(many, "--access", "read")
    assert "Relay-Sandbox: held" in repo.git("log", "-1", "--format=%B", "relay/s") and "Done." in done.out
    data = repo.git("show", f"{REF}:01.steps.jsonl").splitlines()
    assert json.loads(data[0])["left_out"] == 100 and len(data) == 501
    kept = [json.loads(line)["what"].split()[1] for line in data[1:]]
    assert (kept[0], kept[399], kept[400], kept[-1]) == ("0", "399", "500", "599")
    assert all(len(json.loads(line)["what"]) <= 300 for line in data[1:])
    assert repo.relay("fsck").code == 0


def test_an_answer_does_not_need_its_steps(codex: Codex) -> None:
    repo = codex.repo
    repo.git("config", "relay.steps", "true")
    (repo.path / ".git/refs/relay/steps").mkdir(parents=True)
    (repo.path / ".git/refs/relay/steps/s.lock").touch()  # as one who was killed while moving it
    codex.ask(EVENTS)
    assert repo.git("for-each-ref", REF) == "" and repo.relay("fsck").code == 0


@pytest.mark.parametrize(
    "fault", ["no line of JSON", '{"relay-steps": 1, "re": "01", "from": "codex", "left_out": 0}\n{"at": 1}', KEY]
)
def test_what_somebody_else_put_there_is_a_finding(answered: Repo, fault: str) -> None:
    head = '{"relay-steps": 1, "re": "01", "from": "codex", "left_out": 0}\n'
    if fault == KEY:
        fault = head + json.dumps({"at": 0.0, "kind": "run", "what": f"login {KEY}"})
    answered.sh(
        f"blob=$(printf '%s\\n' {shlex.quote(fault)} | git hash-object -w --stdin)\n"
        'tree=$(printf "100644 blob $blob\\t01.steps.jsonl\\n" | git mktree)\n'
        f"git update-ref {REF} $(git commit-tree -m 'stp 01 codex: 1 step' $tree)"
    )
    done = answered.relay("fsck")
    secret = KEY in fault
    assert done.code == 1 and ("secret" if secret else "steps") in done.out and KEY not in done.out
    assert answered.relay("show", "s/01", "--steps").code == 0
    if secret:
        assert "01.steps.jsonl" in answered.relay("scan", "s").out
