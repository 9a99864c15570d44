"""`git relay mcp`, spoken to line by line: the tools, what they may not do, and what no client can break."""

from __future__ import annotations

import io
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitrelay.mcp import tools, wire
from gitrelay.mcp.results import BODY_MAX
from gitrelay.mcp.server import HANDSHAKE_VERSIONS
from support.mcpclient import serving
from support.places import ROOT
from support.repo import Repo
from support.waiting import eventually, patient

# asks until its prompt has the word Postgres
ASKER = """\
import re, sys
prompt = sys.stdin.read()
to = dict(re.findall(r"^  (re|from|to): (\\S+)$", prompt, re.M))
print(f"---\\nrelay: 4\\nre: {to['re']}\\nfrom: {to['from']}\\nto: {to['to']}")
if "Postgres" in prompt:
    print("status: done\\nverify: skip\\n---\\n\\nThanks.")
else:
    print("status: error\\nverify: skip\\nreason: needs-input\\n---\\n\\nWhich database?\\n\\n- Postgres\\n- SQLite")
"""
# the official client: it holds every message to its types, and results to the schemas of the tools
OFFICIAL = """
import os, sys, anyio
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client

async def main(mode):
    words = StdioServerParameters(command=sys.executable, args=["-P", "-m", "gitrelay", "mcp"], env=dict(os.environ))
    async with Client(stdio_client(words), mode=mode) as client:
        assert len((await client.list_tools()).tools) == 6
        done = await client.call_tool("relay_call", {"to": "shell", "task": "echo hi", "session": mode})
        assert not done.is_error and done.structured_content["outcome"] == "pass", done
        assert (await client.call_tool("relay_list", {})).structured_content["sessions"][0]["from"] == "mcp"
        assert (await client.call_tool("relay_wait", {"address": "x/01"})).is_error
        print(mode, client.protocol_version)

for mode in ("legacy", "auto"):
    anyio.run(main, mode)
"""
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def test_a_call_from_beginning_to_end(repo: Repo) -> None:
    """All tools, one server."""
    with serving(repo) as client:
        assert client.initialize()["result"]["protocolVersion"] == "2025-06-18"
        answer = client.call("relay_call", to="shell", session="s", task="echo hi >new; exit 1", checks="true")
        assert (answer["address"], answer["outcome"], answer["verify"]) == ("s/01", "fail", "fail")
        assert answer["changed_files"] == [{"path": "new", "state": "added"}]
        assert answer["checks"] == [{"command": "true", "result": "pass"}] and '"session": "s"' in answer["next"]
        assert set(answer) == set(tools.EXCHANGE_KEYS)
        assert client.call("relay_show", address="s/01") == answer
        assert repo.subjects("s")[1].startswith("req 01 codex -> shell: ")  # who calls is told by the client

        waiting = client.begin("relay_call", to="shell", session="w", task="until test -e go; do sleep 0.05; done")
        assert eventually(lambda: repo.git("for-each-ref", "refs/heads/relay/w") != "")
        listed = client.call("relay_list", open=True)  # while another call waits
        assert [row["session"] for row in listed["sessions"]] == ["w", "s"]
        assert listed["sessions"][1] | {"age_s": 0} == {
            "session": "s",
            "address": "s/01",
            "turns": 1,
            "from": "codex",
            "to": "shell",
            "outcome": "fail",
            "archived": False,
            "age_s": 0,
        }
        client.say(method="notifications/cancelled", params={"requestId": waiting, "reason": "enough"})
        assert client.heard(waiting)["result"]["structuredContent"]["outcome"] == "pending"
        again = client.call("relay_wait", address="w/01", wait="10ms")
        assert again["outcome"] == "pending" and "relay_wait" in again["next"]
        repo.sh("touch go")
        assert client.call("relay_wait", address="w/01")["outcome"] == "pass"

        assert client.call("relay_call", to="shell", session="c", task="sleep 600", wait="0")["status"] == "pending"
        assert client.call("relay_cancel", address="c/01")["outcome"] == "error:cancelled"

        assert client.end() == 0


def test_a_question_is_answered(repo: Repo) -> None:
    program = repo.path.parent / "asker.py"
    program.write_text(ASKER)
    repo.git("config", "relay.asker.command", shlex.join([sys.executable, str(program)]))
    with serving(repo) as client:
        client.initialize()
        asked = client.call("relay_call", to="asker", session="q", task="Choose.")
        assert asked["outcome"] == "error:needs-input", asked
        assert (asked["question"], asked["options"]) == ("Which database?", ["Postgres", "SQLite"])
        assert 'relay_answer {"address": "q/01"' in asked["next"]
        answer = client.call("relay_answer", address="q/01", text="--option 2, or\nPostgres")
        assert (answer["address"], answer["body"]) == ("q/02", "Thanks.")
    assert "--option 2, or\nPostgres\n" in repo.git("show", "relay/q:02.req.md")


@pytest.mark.parametrize("end", ["close", "kill"])
def test_the_call_goes_on_if_the_server_ends(repo: Repo, end: str) -> None:
    with serving(repo) as client:
        client.initialize()
        id_ = client.begin("relay_call", to="shell", session="s", task="until test -e go; do sleep 0.05; done")
        assert eventually(lambda: "req 01" in repo.sh("git log --format=%s relay/s --", check=False))
        if end == "close":
            assert client.end() == 0
            assert client.heard(id_)["result"]["structuredContent"]["outcome"] == "pending"
        else:
            client.process.send_signal(signal.SIGKILL)
            client.process.wait()
    repo.sh("touch go")
    with serving(repo) as client:
        client.initialize()
        assert client.call("relay_wait", address="s/01")["outcome"] == "pass"


def test_a_long_body_comes_in_parts(repo: Repo) -> None:
    repo.git("config", "relay.cat.command", f"python3 -c \"print('x' * {BODY_MAX} + 'end')\"")
    repo.git("config", "relay.cat.plain", "true")
    with serving(repo) as client:
        client.initialize()
        first = client.call("relay_call", to="cat", session="s", task="Say it.")
        assert first["body"] == "x" * BODY_MAX and first["body_cut"]
        rest = client.call("relay_show", **json.loads(first["next"].partition("relay_show ")[2]))
        assert rest["body"] == "end" and not rest["body_cut"]


# -- nothing is widened ----------------------------------------------------------------------------


def test_the_access_of_a_call_is_bounded(repo: Repo) -> None:
    """By the server's own words, by those of the client about itself, and by the call that the server runs in."""
    repo.git("config", "relay.shell.access", "full")
    repo.git("config", "relay.cat.command", "echo fine {access}")
    repo.git("config", "relay.cat.plain", "true")
    with serving(repo) as client:
        client.initialize()
        assert client.call("relay_call", to="shell", task="true")["access"] == "write"  # not what is configured
        assert "--max-access" in client.refused("relay_call", to="shell", task="true", access="full")
        meta = {"x-codex-turn-metadata": {"sandbox_mode": "read-only"}}
        for given, access in (({}, "read"), ({"access": "write"}, None)):
            arguments = {"to": "cat", "task": "Look.", **given}
            result = client.ask("tools/call", {"name": "relay_call", "arguments": arguments, "_meta": meta})["result"]
            assert (result.get("structuredContent") or {}).get("access") == access, result
    with serving(repo, "--max-access", "read") as client:
        client.initialize()
        assert client.call("relay_call", to="cat", task="Look.")["body"] == "fine read"
        checked = client.call("relay_call", to="cat", task="Look.", checks=["touch made"], session="c")
        assert checked["outcome"] == "error:access" and not (repo.path / "made").exists()
        assert "was started for read access" in client.refused("relay_call", to="cat", task="x", access="write")
        assert "cannot be held to read" in client.refused("relay_call", to="shell", task="touch made")
    with serving(repo, "--max-access", "full", env={"GITRELAY_ACCESS": "read"}) as client:
        client.initialize()
        inner = client.call("relay_call", to="shell", task="touch made", access="write", session="i")
        assert inner["outcome"] == "error:access" and not (repo.path / "made").exists()


def test_the_folder_is_bounded(repo: Repo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret").write_text("")
    (repo.path / "link").symlink_to(other)
    with serving(repo, "--repo", str(repo.path)) as client:
        client.initialize({"roots": {}})  # the roots are not asked for
        for folder in ("..", str(other), "link", "/", "app.py", "nothing"):
            assert "folder" in client.refused("relay_list", folder=folder)
        for file in ("../other/secret", str(other / "secret"), "link/secret"):
            assert "outside" in client.refused("relay_call", to="shell", task="true", files=[file])
        assert client.call("relay_list", folder=".")["sessions"] == []


def test_the_roots_of_the_client_are_where_calls_are_made(repo: Repo, tmp_path: Path) -> None:
    elsewhere = tmp_path / "no-repository"
    elsewhere.mkdir()
    roots = [{"uri": uri} for uri in ("http://x/y", "file://%00", 3, repo.path.as_uri())]
    with serving(Repo(elsewhere, repo.env)) as client:
        assert "not in a git repository" in client.refused("relay_list")
        client.initialize({"roots": {"listChanged": True}})
        asked = client.heard("gitrelay-roots")
        assert asked["method"] == "roots/list"
        client.say(id=asked["id"], result={"roots": roots})
        assert client.call("relay_list")["sessions"] == []
        assert "outside" in client.refused("relay_list", folder=str(elsewhere))
        client.say(method="notifications/roots/list_changed")
        client.say(id=client.heard("gitrelay-roots")["id"], error={"code": -1, "message": "no"})
        assert "not in a git repository" in client.refused("relay_list")
    with serving(Repo(elsewhere, repo.env)) as client:  # without a handshake the roots are asked for by the result
        meta = MODERN | {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}}
        params: dict[str, Any] = {"name": "relay_list", "_meta": meta}
        needed = client.ask("tools/call", params)["result"]
        assert needed["resultType"] == "input_required"
        ((key, request),) = needed["inputRequests"].items()
        assert request["method"] == "roots/list"
        answered = {"inputResponses": {key: {"roots": roots}}}
        assert client.ask("tools/call", params | answered)["result"]["isError"] is False


# -- what no client can break ----------------------------------------------------------------------

MESSAGES = {
    b"not json": wire.PARSE_ERROR,
    b"\xff\xfe{}": wire.PARSE_ERROR,
    b"[" * 100_000: wire.PARSE_ERROR,
    b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}': wire.PARSE_ERROR,
    b'{"jsonrpc":"2.0","id":' + b"1" * 5000 + b',"method":"ping"}': wire.PARSE_ERROR,
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]': wire.INVALID_REQUEST,
    b"null": wire.INVALID_REQUEST,
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}': wire.INVALID_REQUEST,
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}': wire.INVALID_REQUEST,
    b'{"id":1,"method":"ping"}': wire.INVALID_REQUEST,
    b'{"jsonrpc":"2.0","id":1,"method":7}': wire.INVALID_REQUEST,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}': wire.INVALID_PARAMS,
    b'{"jsonrpc":"2.0","id":1,"method":"initialize"}': wire.INVALID_PARAMS,
    b'{"jsonrpc":"2.0","id":1,"method":"resources/list"}': wire.NO_METHOD,
    b'{"jsonrpc":"2.0","id":1,"method":"server/discover"}': wire.NO_METHOD,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}}': wire.INVALID_PARAMS,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["rm"]}}': wire.INVALID_PARAMS,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":'
    b'{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}}': wire.UNSUPPORTED_VERSION,
}
ARGUMENTS: list[tuple[str, Any, str]] = [
    ("relay_call", "text", "not an object"),
    ("relay_call", {}, "needs to"),
    ("relay_call", {"to": "shell"}, "needs task"),
    ("relay_call", {"to": 1, "task": "x"}, "to is not a string"),
    ("relay_call", {"to": "shell", "task": "x", "extra": 1}, "no argument 'extra'"),
    ("relay_call", {"to": "shell", "task": "a\0b"}, "task is not text"),
    ("relay_call", {"to": "shell", "task": "\ud800"}, "task is not text"),
    ("relay_call", {"to": "shell", "task": "x" * 4_200_000}, "task has 4200000 characters"),
    ("relay_call", {"to": "shell", "task": " "}, "the task is empty"),
    ("relay_call", {"to": "--help", "task": "x"}, "--help"),
    ("relay_call", {"to": "nobody", "task": "x"}, "nobody"),
    ("relay_call", {"to": "x" * 5000, "task": "x"}, "5000 characters"),
    ("relay_call", {"to": "shell", "task": "x", "session": "../../etc"}, "is not a slug"),
    ("relay_call", {"to": "shell", "task": "x", "session": "--apply"}, "is not a slug"),
    ("relay_call", {"to": "shell", "task": "x", "access": "root"}, "it is read, write, full"),
    ("relay_call", {"to": "shell", "task": "x", "checks": {"a": 1}}, "checks is not a list"),
    ("relay_call", {"to": "shell", "task": "x", "checks": [["true"]]}, "checks is not a string"),
    ("relay_call", {"to": "shell", "task": "x", "isolate": "yes"}, "neither true nor false"),
    ("relay_call", {"to": "shell", "task": "x", "budget": ["1eur"]}, "1eur"),
    ("relay_call", {"to": "codex", "task": "x", "context": ["--help"]}, "--help"),
    ("relay_call", {"to": "codex", "task": "x", "context": "nothing/01"}, "nothing"),
    ("relay_call", {"to": "shell", "task": "x", "wait": "soon"}, "'soon' is not a duration"),
    ("relay_wait", {"address": "-x"}, "not the address"),
    ("relay_wait", {"address": "nothing/01"}, "nothing"),
    ("relay_show", {"address": "../x", "offset": 1}, "../x"),
    ("relay_show", {"address": "s/01", "offset": -1}, "offset"),
    ("relay_show", {"address": "s/01", "offset": True}, "offset"),
    ("relay_cancel", {"address": "s/01\n--help"}, "s/01"),
    ("relay_answer", {"address": "nothing/01", "text": "x"}, "nothing"),
    ("relay_list", {"since": "-1d"}, "-1d"),
]


def test_a_hostile_client_gets_one_error_each_and_the_server_goes_on(repo: Repo) -> None:
    with serving(repo) as client:
        client.initialize()
        for message, code in MESSAGES.items():
            client.raw(message + b"\n")
            id_ = 1 if b'"id":1,' in message and not message.startswith(b"[") else None
            assert client.heard(id_)["error"]["code"] == code, message[:100]
        client.raw(b'{"jsonrpc":"2.0","id":1,"x":"' + b"y" * wire.MAX_BYTES + b'"}\n\n  \n')
        assert client.heard(None)["error"]["code"] == wire.INVALID_REQUEST
        for notice in ("notifications/cancelled", "notifications/none", "tools/call"):
            client.say(method=notice, params={"requestId": [1]})
        client.say(id="gitrelay-roots", result=7)
        client.say(id=5, error={})
        begun = [
            (client.ask_later("tools/call", {"name": name, "arguments": given}), words)
            for name, given, words in ARGUMENTS[:12]
        ]
        for id_, words in begun:
            assert words in client.heard(id_)["result"]["content"][0]["text"], words
        for name, given, words in ARGUMENTS[12:]:
            assert words in client.refused(name, **given), (name, given)
        assert client.ask("ping")["result"] == {}
        assert repo.git("for-each-ref", "refs/heads/relay") == ""


@pytest.mark.fast
def test_a_line_that_is_too_long_is_passed_over() -> None:
    found = list(
        wire.messages(io.BytesIO(b"x" * (wire.MAX_BYTES * 2 + 5) + b'\n{"jsonrpc":"2.0","id":1,"method":"a"}'))
    )
    assert isinstance(found[0], wire.Fault) and isinstance(found[1], wire.Message) and len(found) == 2


def test_a_host_that_hides_its_environment_hides_nothing(repo: Repo) -> None:
    """codex starts its servers without most of it; what tells of the call that it works in is found above."""
    hiding = ("sh", "-c", 'env -u GITRELAY_DEPTH "$@"; :', "sh")
    with serving(repo, env={"GITRELAY_DEPTH": "2"}, through=hiding) as client:
        client.initialize()
        assert client.call("relay_call", to="shell", task="touch made")["outcome"] == "error:recursion"
    assert not (repo.path / "made").exists()


# -- versions, and what is said of the tools -------------------------------------------------------


def test_every_version_is_spoken(repo: Repo) -> None:
    with serving(repo) as client:
        for asked in (*HANDSHAKE_VERSIONS, "2099-01-01"):
            params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "\u202e" * 9}}
            known = asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]
            assert client.ask("initialize", params)["result"]["protocolVersion"] == known
        found = client.ask("server/discover", {"_meta": MODERN})["result"]
        assert found["supportedVersions"] == ["2026-07-28"] and found["resultType"] == "complete"
        listed = client.ask("tools/list", {"_meta": MODERN})["result"]
        assert listed["resultType"] == "complete" and listed["tools"] == client.ask("tools/list")["result"]["tools"]
        done = client.ask("tools/call", {"name": "relay_list", "arguments": {}, "_meta": MODERN})["result"]
        assert (done["isError"], done["resultType"]) == (False, "complete")
    printed = repo.relay("mcp", "--json").json["data"]
    assert printed == listed["tools"]
    assert repo.relay("mcp", "--repo", "nothing").code == repo.relay("mcp", "--wait", "x").code == 2


@pytest.mark.fast
def test_the_document_names_every_tool_argument_and_key() -> None:
    text = (ROOT / "docs/mcp.md").read_text()
    for tool in tools.TOOLS.values():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{tool.name}` |"))
        takes = [name if argument.required else f"{name}?" for name, argument in tool.arguments.items()]
        assert f"`{', '.join(takes)}`" in row
        assert tool.to_json()["annotations"]["readOnlyHint"] is not tool.changes
    for key in tools.EXCHANGE_KEYS:
        assert f"`{key}`" in text


def test_the_official_client_is_content(repo: Repo) -> None:
    pytest.importorskip("mcp.client.stdio", reason="pip install mcp, to try the official client")
    argv = [sys.executable, "-P", "-c", OFFICIAL]
    done = subprocess.run(argv, cwd=repo.path, env=dict(repo.env), capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["legacy", "2025-11-25", "auto", "2026-07-28"]
