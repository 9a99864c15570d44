"""The entry that starts the server: put into the settings of an agent, and taken out again byte for byte."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gitrelay.setup import jsontext
from support.repo import Repo

FILES = {
    "claude": ".claude.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
    "opencode": ".config/opencode/opencode.json",
}
# settings as people and agents write them; the keys are those of claude and gemini
TEXTS = [
    "",
    "\n",
    "{}",
    "{ }\n",
    "{\n}\n",
    '{"a":1}',
    '{"a": [1, {"b": "}{,\\""}], "mcpServers": {}}',
    '{\n  "mcpServers": {\n    "other": {"command": "x"}\n  },\n  "z": null\n}\n',
    '{\r\n\t"mcpServers": {\r\n\t\t"other": {"args": []}\r\n\t}\r\n}\r\n',
    '// mine\n{\n  /* { */ "a": true, // last\n}\n',
    '{"mcpServers": { // none yet\n}}',
    '{"mcpServers": {"a": {}, // one\n}, /* , */}',
    '\ufeff{"é": "\\u00e9"}',
]
BROKEN = ["[]", "{", '{"a" 1}', '{"a": 1 "b": 2}', '{"mcpServers": []}', '{"a": 1} x', "{" * 5000, '{"a":' * 5000]


@pytest.mark.fast
@pytest.mark.parametrize("text", TEXTS)
def test_a_member_is_put_in_and_taken_out(text: str) -> None:
    put = jsontext.insert(text, "mcpServers", "relay", {"command": "x", "args": ["{}"]})
    member, _ = jsontext.find(put.text, "mcpServers", "relay")
    around = len(put.before), len(put.behind), put.mark
    assert member is not None and jsontext.value_of(put.text, member)["args"] == ["{}"]
    assert jsontext.remove(put.text, "mcpServers", "relay", *around) == text
    if "/" not in text:
        loaded = json.loads(put.text.removeprefix("\ufeff"))
        # as an agent writes it again, in its own form: only the member goes
        for form in (json.dumps(loaded), json.dumps(loaded, indent=7)):
            rest = json.loads(jsontext.remove(form, "mcpServers", "relay", *around))
            was = json.loads(text.strip("\ufeff \n") or "{}")
            assert {**was, "mcpServers": was.get("mcpServers", {})} == {"mcpServers": {}, **rest}


@pytest.mark.fast
@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        jsontext.insert(text, "mcpServers", "relay", {})


@pytest.mark.fast
def test_no_value_of_others_is_cut() -> None:
    text = '{"mcpServers":{"a":1234567,"relay":{},"b":89}}'
    assert jsontext.remove(text, "mcpServers", "relay", 6, 4, "") == '{"mcpServers":{"a":1234567,"b":89}}'


def settings(repo: Repo) -> dict[str, bytes]:
    home = Path(repo.env["HOME"])
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def test_the_entries_of_all_agents(repo: Repo) -> None:
    """Made, kept, edited, reported and removed; with the agents' own settings there, and without."""
    home = Path(repo.env["HOME"])
    before, folders = settings(repo), sorted(home.rglob("*"))
    done = repo.relay("install", "--mcp", "--agent", "all", "--json")
    assert done.code == 0, done.err
    assert {row["action"] for row in done.json["data"]} == {"installed"}
    assert {row["file"]: row["agents"] for row in done.json["data"]} == {str(home / f): [a] for a, f in FILES.items()}
    made = settings(repo)
    codex = tomllib.loads(made[FILES["codex"]].decode())["mcp_servers"]["relay"]
    assert (codex["default_tools_approval_mode"], codex["tool_timeout_sec"], codex["args"]) == ("approve", 300, ["mcp"])
    assert "GITRELAY_ACCESS" in codex["env_vars"] and Path(codex["command"]).name == "git-relay"
    assert json.loads(made[FILES["claude"]])["mcpServers"]["relay"]["timeout"] == 300_000
    assert json.loads(made[FILES["opencode"]])["mcp"]["relay"]["command"] == [codex["command"], "mcp"]
    assert (home / FILES["claude"]).stat().st_mode & 0o777 == 0o600
    again = repo.relay("install", "--mcp", "--agent", "all", "--json").json["data"]
    assert {row["action"] for row in again} == {"unchanged"} and settings(repo) == made
    rows = {row["check"]: row["state"] for row in repo.relay("doctor", "--json").json["data"]}
    assert {rows[f"mcp for {agent}"] for agent in FILES} == {"ok"}
    less = repo.relay("install", "--mcp", "--agent", "all", "--max-access", "read", "--json").json["data"]
    assert {row["action"] for row in less} == {"updated"}
    assert json.loads(settings(repo)[FILES["gemini"]])["mcpServers"]["relay"]["args"] == ["mcp", "--max-access", "read"]
    gone = repo.relay("uninstall", "--json").json["data"]
    assert {row["kind"] for row in gone} == {"mcp"} and {row["action"] for row in gone} == {"removed"}
    assert (settings(repo), sorted(home.rglob("*"))) == (before, folders)


def test_the_settings_of_the_user_stay_as_they_are(repo: Repo) -> None:
    home = Path(repo.env["HOME"])
    texts = {
        "claude": '{"numStartups":3,"mcpServers":{"x":{"command":"y"}}}',
        "codex": 'model = "gpt-5.5"  # mine\n[mcp_servers.other]\ncommand = "x"',
        "gemini": "// mine\n{\n}",
        "opencode": '{\r\n  "model": "a/b",\r\n}\r\n',
    }
    for agent, file in FILES.items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_bytes(texts[agent].encode())
    (home / ".codex/config.toml").rename(home / "dotfile")
    (home / ".codex/config.toml").symlink_to(home / "dotfile")
    before = settings(repo)
    assert repo.relay("install", "--mcp", "--agent", "all").code == 0
    assert len([f for f, data in settings(repo).items() if data != before[f]]) == 5
    # codex writes below the entry, and somebody edits another one
    for name, more in (("codex", b'\n[projects."/x"]\ntrust_level = "trusted"\n'),):
        path = home / FILES[name]
        path.write_bytes(path.read_bytes() + more)
    edited = home / FILES["gemini"]
    edited.write_text(edited.read_text().replace('"mcp"', '"mcp", "--max-access", "full"'))
    done = repo.relay("install", "--mcp", "--agent", "all")
    assert done.code == 2 and "was edited" in done.err and str(edited) in done.err
    rows = {row["check"]: row["state"] for row in repo.relay("doctor", "--json").json["data"]}
    assert (rows["mcp for gemini"], rows["mcp for codex"]) == ("warn", "ok")
    kept = {tuple(r["agents"]): r["action"] for r in repo.relay("uninstall", "--json").json["data"]}
    assert kept.pop(("gemini",)) == "kept" and set(kept.values()) == {"removed"}
    assert repo.relay("uninstall", "--force").code == 0
    after = settings(repo)
    assert after.pop("dotfile") == before.pop("dotfile") + more
    del before[FILES["codex"]], after[FILES["codex"]]
    assert after == before and (home / FILES["codex"]).is_symlink()


def test_what_is_not_ours_is_left(repo: Repo) -> None:
    home = Path(repo.env["HOME"])
    (home / ".codex").mkdir()
    for agent, text in {
        "claude": '{"mcpServers": {"relay": {"command": "other"}}}',
        "codex": '[mcp_servers.relay]\ncommand = "other"\n',
    }.items():
        (home / FILES[agent]).write_text(text)
        done = repo.relay("install", "--mcp", "--agent", agent, "--agent", "gemini")
        assert done.code == 2 and "is not gitrelay's" in done.err and len(done.err.splitlines()) == 1
        assert repo.relay("uninstall", "--agent", agent).code == 0
        assert (home / FILES[agent]).read_text() == text and not (home / FILES["gemini"]).exists()
        (home / FILES[agent]).write_text("{ broken" if agent == "claude" else "= broken")
        done = repo.relay("install", "--mcp", "--agent", agent, "--force")
        assert done.code == 2 and "cannot be read" in done.err
    for words in (("--mcp",), ("--mcp", "--agent", "codex", "--project"), ("--max-access", "read")):
        assert repo.relay("install", *words).code == 2
