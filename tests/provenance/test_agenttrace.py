"""Agent Trace records: of the form that the specification asks for, and true of the lines that they name."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import jsonschema
import pytest

from gitrelay.provenance.agenttrace import model_id
from support.repo import Repo, with_one_commit

_URI: Final = {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:[^ ]+$"}
_LINE: Final = {"type": "integer", "minimum": 1}
_CONTRIBUTOR: Final = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["human", "ai", "mixed", "unknown"]},
        "model_id": {"type": "string", "maxLength": 250, "pattern": "^[^/]+/."},
    },
    "additionalProperties": False,
}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


# the fields of Agent Trace 0.1.0, section 6.1, and nothing else where that allows more
SCHEMA: Final = _object(
    ["version", "id", "timestamp", "files"],
    version={"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
    id={"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
    timestamp={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    vcs=_object(["type", "revision"], type={"const": "git"}, revision={"type": "string", "pattern": "^[0-9a-f]{40}$"}),
    tool=_object([], name={"type": "string"}, version={"type": "string"}),
    files=_list(
        _object(
            ["path", "conversations"],
            path={"type": "string"},
            conversations=_list(
                _object(
                    ["ranges"],
                    url=_URI,
                    contributor=_CONTRIBUTOR,
                    ranges=_list(
                        _object(
                            ["start_line", "end_line"],
                            start_line=_LINE,
                            end_line=_LINE,
                            content_hash={"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
                        )
                    ),
                    related=_list(_object(["type", "url"], type={"type": "string"}, url=_URI)),
                )
            ),
        )
    ),
    metadata={"type": "object"},
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A commit of what `codex` and a person wrote, one of what a command wrote, one of nobody's."""
    made = with_one_commit(tmp_path_factory.mktemp("traces"))
    made.sh(
        "git config relay.isolate never; git config relay.codex.plain true"
        "; git config relay.codex.command \"sh -c 'cat >/dev/null; cat ../new >> f.py; echo done'\""
        "; printf 'first = 1\\nsecond = 2\\n' > ../new; git-relay req --to codex --session a 'Write.' >/dev/null"
        "; printf 'zero = 0\\n' | cat - f.py > ../all; cp ../all f.py; echo 'last = 9' >> f.py"
        "; git add f.py; git commit -qm 'two'"
        "; git-relay req --to shell --session b 'echo \"by_command = 3\" >> f.py' >/dev/null"
        "; git commit -qam 'three'; echo 'mine = 1' >> app.py; git commit -qam 'four'"
    )
    return made


def traces(repo: Repo, *words: str) -> list[dict[str, Any]]:
    done = repo.relay("export", "--format", "agent-trace", *words)
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    for one in found:
        jsonschema.validate(one, SCHEMA)
    return found


def test_a_commit_says_which_of_its_lines_are_whose(repo: Repo) -> None:
    two, three = traces(repo, "--rev", "HEAD~3..HEAD")
    assert [two["vcs"]["revision"], three["vcs"]["revision"]] == repo.git("rev-parse", "HEAD~2", "HEAD~1").split()
    digest = hashlib.sha256(b"first = 1\nsecond = 2").hexdigest()
    assert two["files"] == [
        {
            "path": "f.py",
            "conversations": [
                {
                    "contributor": {"type": "ai"},
                    "url": "git:relay/a/01",
                    "ranges": [{"start_line": 2, "end_line": 3, "content_hash": f"sha256:{digest}"}],
                }
            ],
        }
    ]
    (own,) = two["metadata"]["org.gitrelay"]["exchanges"]
    assert own["address"] == "a/01" and own["after_tree"] and own["checks"] == []
    (conversation,) = three["files"][0]["conversations"]
    assert conversation["contributor"] == {"type": "unknown"}, "a command is no agent"
    assert traces(repo, "--rev", "HEAD~2") == [two] and traces(repo, "--rev", "HEAD~2", "b") == []
    nothing = repo.relay("export", "--format", "agent-trace")
    assert nothing.code == 0 and nothing.out == "" and "no commit of HEAD" in nothing.err


def test_an_exchange_is_told_at_the_commit_that_keeps_its_files(repo: Repo) -> None:
    (one,) = traces(repo, "--by", "exchange", "a")
    revision = one["vcs"]["revision"]
    assert (
        repo.git("rev-parse", f"{revision}^{{tree}}") == one["metadata"]["org.gitrelay"]["exchanges"][0]["after_tree"]
    )
    lines = repo.git("show", f"{revision}:f.py").splitlines()
    (where,) = one["files"][0]["conversations"][0]["ranges"]
    assert lines[where["start_line"] - 1 : where["end_line"]] == ["first = 1", "second = 2"]
    place = repo.path.parent / "all.jsonl"
    done = repo.relay("export", "-o", str(place), "--by", "exchange", "--json")
    assert done.code == 0 and done.json["data"]["format"] == "agent-trace"
    assert json.loads(place.read_text().partition("\n")[0])["id"] == one["id"], "the same each time"


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "agent-trace", "--rev", "none"],
        ["--format", "agent-trace", "--rev", "--all"],
        ["--format", "agent-trace", "--rev", "HEAD...HEAD~1"],
        ["--format", "agent-trace", "--by", "exchange", "--rev", "HEAD"],
        ["--format", "agent-trace", "nosuch"],
        ["--format", "md", "--rev", "HEAD"],
    ],
)
def test_wrong_words_are_usage_errors(repo: Repo, words: list[str]) -> None:
    done = repo.relay("export", *words)
    assert done.code == 2 and done.err.count("\n") == 1 and done.out == "", done.err


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("claude-opus-4-5-20251101", "anthropic/claude-opus-4-5-20251101"),
        ("gpt-5-codex", "openai/gpt-5-codex"),
        ("gemini-3-pro", "google/gemini-3-pro"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4"),
        ("glm-5", ""),
        ("", ""),
        ("gpt\n", ""),
    ],
)
def test_a_model_has_its_provider_if_that_is_known(model: str, found: str) -> None:
    assert model_id(model) == found
