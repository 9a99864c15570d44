"""README, help, man page and docs say what the program does."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import click
import pytest

from gitrelay.cli import VERBS, group, manpage
from gitrelay.errors import EXIT_CODES, Code, Reason
from support.markdown import rows, section
from support.places import ROOT
from support.repo import Repo

CONTEXT = click.Context(group, info_name="git-relay")


def command_of(verb: str) -> click.Command:
    command = group.get_command(CONTEXT, verb)
    assert command is not None
    return command


def test_exit_codes_are_documented_as_they_are() -> None:
    text = (ROOT / "docs/exit-codes.md").read_text()
    codes, reasons = text.split("## Reasons")
    assert {int(r[0]): (r[1], r[2]) for r in rows(codes)} == EXIT_CODES
    assert {r[0]: int(r[1]) for r in rows(reasons)} == {reason.value: reason.exit_code for reason in Reason}


def test_error_words_are_documented_as_they_are() -> None:
    table = (ROOT / "docs/json.md").read_text().split("## Error words")[1]
    assert {r[0].strip("`"): r[1] for r in rows(table)} == {code.value: code.meaning for code in Code}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_help_that_the_overview_gives(verb: str) -> None:
    command = command_of(verb)
    first = inspect.cleandoc(command.help or "").partition("\n\n")[0].partition("\n")[0]
    assert first == VERBS[verb]
    assert any("--json" in p.opts for p in command.params)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or isinstance(parameter.type, click.Choice), f"{verb} {parameter.opts}"


def test_the_shipped_man_page_is_the_one_the_help_makes() -> None:
    assert (ROOT / "docs/git-relay.1").read_text() == manpage.render(), (
        "run: python -m gitrelay.cli.manpage > docs/git-relay.1"
    )


def test_readme_has_exactly_two_commands_for_a_fresh_machine() -> None:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 2 and all(block.count("\n") == 1 for block in blocks)
    assert "git-relay demo" in blocks[0] and "-m pytest" in blocks[1]


def test_every_git_relay_command_in_the_readme_and_docs_parses() -> None:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in re.findall(r"^\$? ?git relay ([a-z-]+)(.*)$", path.read_text(), re.M):
            verb, rest = line[0], line[1].partition(" | ")[0]
            assert verb in VERBS, f"{path.name}: git relay {verb}"
            options = {o for p in command_of(verb).params for o in (*p.opts, *p.secondary_opts)}
            for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"\"[^\"]*\"|'[^']*'", "", rest)):
                assert word in options, f"{path.name}: git relay {verb} has no {word}"


def test_json_has_the_keys_that_are_documented(repo: Repo) -> None:
    text = (ROOT / "docs/json.md").read_text()
    exchange = section(text, "## An exchange")
    envelope = {"version", "command", "exit_code", "data", "errors"}

    def data(verb: str, *args: str, code: int = 0) -> object:
        done = repo.relay(verb, *args, "--json")
        assert done.code == code, done.err
        value = done.json
        assert set(value) == envelope and value["command"] == verb and value["exit_code"] == code
        assert done.raw.count(b"\n") == 1
        return value["data"]

    def keys(value: object) -> set[str]:
        if isinstance(value, list):
            assert value
            value = value[0]
        assert isinstance(value, dict)
        return set(value)

    assert keys(data("req", "--to", "shell", "--session", "s", "exit 1", code=1)) == exchange | {"replayed"}
    assert keys(data("wait", "s/01", code=1)) == exchange
    assert keys(data("log", "s")) == exchange
    assert keys(data("show", "s")) == exchange | {"request"}
    assert keys(data("ls")) == section(text, "`ls`, a list")
    stats = data("stats", "--by", "peer")
    assert isinstance(stats, dict) and set(stats) == {"by", "since", "sessions", "total", "groups"}
    assert keys(stats["total"]) == keys(stats["groups"]) == section(text, "`stats`: ")
    assert keys(data("export", "-o", "../site")) == section(text, "`export` with `-o`")
    assert keys(data("export", "-o", "../s.json")) == section(text, "`export` with `-o`")
    records = json.loads((repo.path.parent / "s.json").read_text())
    assert keys(records) == {"version", "sessions"}
    assert keys(records["sessions"]) == {"session", "archived", "fault", "exchanges"}
    more = section(text, "`export --format json`")
    assert keys(records["sessions"][0]["exchanges"]) == exchange | {"request"} | more
    assert keys(data("peers")) == section(text, "`peers`, a list")
    assert keys(data("diff", "s/01")) == {"address", "before", "after", "shared", "files", "left_out"}
    assert keys(data("apply", "s/01")) == {"address", "files", "left_out", "conflicts", "onto", "commit", "trailer"}
    assert keys(data("check-again", "s/01", "--check", "true")) == {"address", "checks"}
    assert keys(data("fsck")) == section(text, "`fsck`;")
    assert keys(data("close", "s")) == {"closed"}
    assert keys(data("archive", "s")) == {"archived"}
    assert keys(data("archive", "--restore", "s")) == {"restored"}
    detached = section(text, "`req --detach`")
    assert keys(data("req", "--to", "shell", "--session", "d", "-d", "sleep 60")) == detached
    assert keys(data("status")) == section(text, "`status`, a list")
    assert keys(data("watch")) == section(text, "`watch`, a list")
    assert keys(data("tail", "d/01")) == section(text, "`tail`:")
    assert keys(data("cancel", "d/01")) == exchange
    assert keys(data("req", "--to", "shell", "--session", "n", "--no-invoke", "true")) == detached
    assert keys(data("status", "--all")) == section(text, "`status`, a list")
    answer = ("--session", "n", "--re", "01", "--from", "shell", "--to", "uma-user", "--status", "done")
    assert keys(data("res", *answer, "--verify", "skip", "fine")) == exchange
    assert repo.relay("import", "docs", "--json").code == 2
    repo.sh("mkdir -p old/x; printf 'no message' > old/x/01.req.md")
    assert keys(data("import", "old", code=1)) == {"session", "exchanges", "fault"}
    repo.git("config", "relay.redact", "fine")
    assert keys(data("scan", "n", code=1)) == section(text, "`scan`, a list")
    assert keys(data("completion", "bash")) == section(text, "`completion`:")
    assert keys(data("completion", "bash", "--install")) == section(text, "`completion`:")
    assert keys(data("demo")) == {"folder", "exchanges"}
    change = section(text, "`check`, and a list")
    repo.git("config", "relay.cat.command", "echo fine")
    repo.git("config", "relay.cat.plain", "true")
    assert keys(data("check", "HEAD~0..HEAD", code=2)) == change
    repo.git("commit", "-q", "--allow-empty", "-m", "more")
    assert keys(data("review", "HEAD~1..HEAD", "--to", "cat")) == exchange
    assert keys(data("review", "HEAD~1..HEAD", "--to", "cat", "-d", "--again")) == detached
    assert keys(data("wait", "review-main/02")) == exchange
    assert keys(data("bypass", "HEAD~1..HEAD", "--reason", "why not")) == {"address", "base", "head", "tree"}
    assert keys(data("hooks", "install", "pre-push", "--to", "cat")) == section(text, "`hooks`, a list")
    assert keys(data("hooks", "list")) == section(text, "`hooks`, a list")
    done = repo.relay(
        "pre-push", "origin", "--json", stdin=f"x {repo.git('rev-parse', 'HEAD')} r {'0' * 40}\n".encode()
    )
    assert keys(done.json["data"]) == change | {"stops"}
    assert data("show", "nothing", code=2) is None


def test_the_envelope_names_the_error_of_a_failed_verb(repo: Repo) -> None:
    done = repo.relay("req", "--to", "nobody", "--json", "hello")
    assert done.code == 2
    (error,) = done.json["errors"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "unknown-peer" and "'nobody'" in error["message"] and error["hint"]
    assert done.err == ""
    wrong = repo.relay("req", "--json", "--nonsense")
    assert wrong.code == 2 and wrong.json["errors"][0]["code"] == "usage"


def test_the_figures_of_the_page_on_costs_are_those_that_were_measured() -> None:
    """`nox -s bench -- --docs` writes both; what is compared with an earlier file are the ratios of the same rows.

    Of suites that were not run the rows stay.
    """
    script = """if True:
        from dataclasses import replace
        import bench
        rows = bench.read(bench.FIGURES)
        text = bench.PAGE.read_text()
        assert rows and bench.page(text, rows) == text, "run: nox -s bench -- --docs"
        lines = bench.compared(rows, rows[1:]).splitlines()
        assert len(lines) == len(rows) + 1 and all(line.endswith("| 1.00 |") for line in lines[2:])
        again = [replace(rows[2], today=0.5)]
        assert bench.merged(again, rows) == [*rows[:2], *again, *rows[3:]] and bench.merged(rows, []) == rows
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "benchmarks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
