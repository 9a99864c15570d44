"""README and the documents: short where they must be, whole where they must be, and every command of them is real."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest

from gitrelay.cli import VERBS, group, verbspage
from gitrelay.errors import Reason
from gitrelay.peers.acp.known import KNOWN
from gitrelay.peers.registry import BUILT_IN
from support.markdown import rows
from support.places import ROOT
from support.realcli import PINS
from support.repo import Repo
from support.waiting import patient

README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_the_readme_is_short_and_sells() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert lines.index("## Two commands for a fresh machine") < 40
    assert re.search(r"!\[[^\]]+\]\(screenshots/", "\n".join(lines[:20]))


def test_the_commands_in_its_tables_are_real() -> None:
    commands = re.findall(r"`git relay ([^`]+)`", README)
    assert len(commands) >= 12
    for words in map(shlex.split, commands):
        assert words[0] in VERBS
        command = group.get_command(click.Context(group), words[0])
        assert command is not None
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        assert {word for word in words[1:] if word.startswith("-")} <= options, words


def test_the_chinese_page_has_the_same_commands_links_and_figures() -> None:
    other = (ROOT / "README_CN.md").read_text()
    both = []
    for text in (README, other):
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
        text = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)
        spans = sorted(re.findall(r"`([^`]+)`", text))
        links = sorted(re.sub(r"README(_CN)?\.md", "README", link) for link in re.findall(r"\]\(([^)]+)\)", text))
        figures = sorted(re.findall(r"\d+(?:\.\d+)?", text))
        headings = len(re.findall(r"^#", text, re.M))
        both.append((blocks, spans, links, figures, headings, text.count("\n|")))
    assert both[0] == both[1]


def test_each_peer_is_named_with_the_version_that_it_was_tried_with() -> None:
    """The pinned one, which the tests run; what was not run is said to be known by its documents."""
    native = {row[0].strip("`"): row[1] for row in rows((ROOT / "docs/peers.md").read_text())}
    assert set(BUILT_IN) <= set(native)
    assert {name: native[name] for name in set(BUILT_IN) & set(PINS)} == {
        name: PINS[name] for name in set(BUILT_IN) & set(PINS)
    }
    assert "documents" in native["any ACP agent"]
    table = (ROOT / "docs/acp.md").read_text().partition("## Access")[0]
    agents = {command: row[2] for row in rows(table) for command in re.findall(r"`([^`]+)`", row[1])}
    for known in KNOWN:
        by_table = [tried for row in rows(table) if f"`{known.command}`" in "".join(row[:2]) for tried in row[2:3]]
        assert len(by_table) == 1, known.name
        if known.tried:
            assert agents[known.command].partition(",")[0] == known.tried == PINS[known.name]
        else:
            assert "by their documents" in by_table[0]


def test_the_entrance_leads_to_every_page() -> None:
    linked = set(re.findall(r"\(([a-z-]+\.md)[#)]", (ROOT / "docs/index.md").read_text()))
    assert linked == {path.name for path in PAGES} - {"index.md"}


def test_the_page_of_verbs_is_the_one_the_help_makes() -> None:
    assert (ROOT / "docs/verbs.md").read_text() == verbspage.render(), (
        "run: python -m gitrelay.cli.verbspage > docs/verbs.md"
    )


def test_every_reason_has_its_cure() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text()
    table = text.partition("## A command")[0]
    assert {row[0].strip("`") for row in rows(table) if row[0] != "word"} == {reason.value for reason in Reason}


def test_the_site_is_built_without_a_warning() -> None:
    pytest.importorskip("sphinx", reason="pip install -e '.[dev]'")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "dummy", "-c", ".ci/docs", "docs", "build/dummy"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 0, done.stderr


def test_the_tutorial_does_what_it_says(repo: Repo) -> None:
    text = (ROOT / "docs/tutorial.md").read_text()
    lines = [line for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    script, expected = ["cd .."], []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("$ "):
            code = re.fullmatch(r"# exit code (\d+)", following)
            any_code = following == "# any exit code"
            expected.append(None if any_code else int(code[1]) if code else 0)
            script.append(f"{line[2:]}\necho $? >>$CODES")
    codes = repo.path.parent / "codes"
    said = repo.sh(f"set +e; CODES={codes}\n" + "\n".join(script) + "\ntrue", timeout=120)
    found = [int(code) for code in codes.read_text().split()]
    assert len(found) == len(expected) >= 20
    wrong = [(words, f) for words, f, e in zip(script[1:], found, expected, strict=True) if e is not None and f != e]
    assert not wrong, said
    assert "return a + b" in (repo.path.parent / "adder/adder.py").read_text()
    assert "pass (checked)" in said and (repo.path.parent / "site/index.html").exists()


def test_help_shows_the_pages_anywhere(repo: Repo) -> None:
    done = repo.relay("help", cwd=repo.path.parent)
    assert done.code == 0 and {line.split()[0] for line in done.out.splitlines()} == {p.stem for p in PAGES} - {"index"}
    assert repo.relay("help", "exit-codes", cwd=repo.path.parent).out == (ROOT / "docs/exit-codes.md").read_text()
    assert "--check CMD" in repo.relay("help", "req").out
    wrong = repo.relay("help", "tutorail")
    assert wrong.code == 2 and "did you mean tutorial?" in wrong.err
    assert set(repo.relay("help", "words", "--json").json["data"]) == {"topic", "topics", "text"}


def test_the_demo_shows_the_point_in_a_screen(repo: Repo) -> None:
    done = repo.relay("demo", "--keep", "../kept")
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) <= 20 and max(map(len, lines)) <= 80
    said = [line.strip() for line in lines]
    claim, check = (
        said.index("shell: Fixed, all tests pass.  (claims verify: pass)"),
        said.index("gitrelay: check fail (exit 1): sh test.sh"),
    )
    assert claim < check < said.index("gitrelay: check pass: sh test.sh") < said.index("+5")
    kept = Repo(repo.path.parent / "kept", repo.env)
    assert [e["outcome"] for e in kept.relay("show", "demo", "--json").json["data"]] == ["check-failed", "pass"]
    assert kept.relay("fsck").code == 0
    commands = "".join(lines[i] + "\n" + lines[i + 1] + "\n" for i, line in enumerate(lines) if line.endswith("\\"))
    kept.sh("set +e\n" + commands.replace("$ git relay", "git relay"), check=False)
    again = kept.relay("show", "demo", "--json").json["data"]
    assert [e["outcome"] for e in again] == ["check-failed", "pass"] * 2, "what it prints can be typed"
    assert "exists and is not an empty folder" in repo.relay("demo", "--keep", "../kept").err
