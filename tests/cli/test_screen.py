"""What a person sees on a terminal: columns, colours, markdown, the pager; and nothing that a message smuggles in."""

from __future__ import annotations

import json
import re
import shlex
import sys
import unicodedata

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st
from rich.cells import cell_len

from gitrelay.cli.screen import markdown, rows, table
from gitrelay.cli.screen.table import Column
from gitrelay.ground.duration import ago
from support.repo import Repo, with_one_commit
from support.terminal import on_terminal, required

SGR = re.compile(r"\x1b\[[0-9;]*m")
ANSWER = """\
# Review of `auth.py`

I looked at **all** queries; see [the rule](https://example.invalid/rule) and ![a plan](http://evil.invalid/x.png).

1. first
   - nested

| file | lines |
|---|---:|
| 日本.py | 12 |

```python
def login(name):
    return 1  # why
```

> quoted

<details>hidden?</details>

[ref]: http://reference.invalid
"""
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b2J \u202egnp.exe\u202c \x08\x08\x08 \r over\n\n"
    "[text](http://real.invalid/\x1b]8;;http://lie.invalid\x07x) &#x202e;reversed &#27;[2J &#155;2J\n\n"
    "`\x1b[5mcode\x1b[0m` <http://auto.invalid/\u202e> ![\x1b]52;c;AAAA\x07](http://image.invalid)\n\n"
    "```\x1b[2J\n\x1b]0;x\x07 in a fence \u2066isolate\u2069\n```\n\n"
    "| \x1b[2J | \u200f |\n|---|---|\n| \x9d0;t\x9c | \x1bc |\n"
)


def fake(repo: Repo, answer: str) -> None:
    """A peer that answers with these words, byte for byte."""
    place = repo.path.parent / "answer.md"
    place.write_bytes(answer.encode())
    repo.git("config", "relay.fake.command", f"cat {shlex.quote(str(place))}")
    repo.git("config", "relay.fake.plain", "true")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with three sessions, of which tests only read."""
    folder = tmp_path_factory.mktemp("three")
    repo = with_one_commit(folder)
    task = "Fix the issues in the parser and add tests for every one of them, then run pytest to verify the whole"
    fake(repo, ANSWER)
    options = ("--from", "claude", "--to")
    assert repo.relay("req", *options, "fake", "--session", "auth-refactor", "--check", "exit 1", task).code == 1
    assert repo.relay("req", *options, "shell", "--session", "smoke-test", "exit 1").code == 1
    assert repo.relay("req", *options, "shell", "--session", "good", "true").code == 0
    return repo


def assert_harmless(raw: bytes) -> None:
    """Nothing but text and the colours of our own: no other escape, no control or format character."""
    text = raw.decode()
    left = SGR.sub("", text)
    odd = {c for c in left if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\r\n\t"}
    assert not odd, [hex(ord(c)) for c in odd]
    assert "\t" not in left
    for line in left.split("\r\n"):
        assert "\r" not in line, repr(line)


def test_tables_fit_and_keep_what_matters(three: Repo) -> None:
    for columns in (40, 60, 80, 140):
        for verb in ("ls", "log"):
            with on_terminal(three, verb, columns=columns) as seen:
                assert seen.end() == 0
            text = seen.text
            assert all(cell_len(line) <= columns for line in seen.lines)
            assert len(text.splitlines()) == 4, text
            assert all(words in text for words in ("fail", "pass", "check-failed")), text
            assert "done" not in text
            assert "auth-refac" in text
            assert columns < 60 or verb == "log" or "ago" in text or "just now" in text, text
            assert "\x1b[31mcheck-failed\x1b[m" in seen.raw.decode()
        assert ("claude -> shell" in text) == (columns >= 80), text
        assert ("Fix the issues" in text) == (columns >= 60), text
        if columns != 80:  # at 80 it depends on the words for the age
            assert ("ASKED" in text) == (columns > 80), text
    assert "Fix the issues in the parser and add tests" in text


def test_what_runs_is_drawn_with_its_limits(repo: Repo) -> None:
    asked = ("req", "--from", "claude", "--to", "shell", "--session", "s", "-d", "--timeout", "50s", "sleep 60")
    assert repo.relay(*asked).code == 0
    try:
        with on_terminal(repo, "status") as seen:
            assert seen.end() == 0
        assert "s/01" in seen.text and "running" in seen.text and "claude -> shell" in seen.text
        assert re.search(r"\x1b\[31m\d+s\x1b\[m", seen.raw.decode()), "less than a minute is left"
    finally:
        assert repo.relay("cancel", "s/01").code == 0


def test_a_message_is_laid_out_and_nothing_of_it_is_lost(three: Repo) -> None:
    with on_terminal(three, "show", "auth-refactor", rows=60) as seen:
        assert seen.end() == 0
    text, raw = seen.text, seen.raw.decode()
    assert_harmless(seen.raw)
    assert re.search(r"^── request auth-refactor/01  claude -> fake ─+$", text, re.M), text
    assert re.search(r"^── response auth-refactor/01  fake -> claude ─+ check-failed$", text, re.M), text
    assert "check fail (exit 1): exit 1" in text
    assert "Reply:" not in text and "relay: 4" not in text
    for words in ("the rule (https://example.invalid/rule)", "[image: a plan] (http://evil.invalid/x.png)"):
        assert words in " ".join(text.split()), text
    for words in ("<details>hidden?</details>", "[ref]: http://reference.invalid", " 日本.py ", "    return 1"):
        assert words in text, text
    assert "```" not in text and "**" not in text
    assert "\x1b[35mdef\x1b[0m" in raw and "\x1b[1mall\x1b[0m" in raw
    for colour in re.findall(r"\x1b\[([0-9;]*)m", raw):  # of the 16, and never a background
        assert set(colour.split(";")) <= {"", "0", "1", "2", "3", "4", "9", *map(str, range(31, 37))}, colour
    with on_terminal(three, "show", "auth-refactor/01", "--res", rows=60) as only:
        assert only.end() == 0
    assert "request" not in only.text and "nested" in only.text
    with on_terminal(three, "show", "auth-refactor", "--raw", rows=90) as as_it_is:
        assert as_it_is.end() == 0
    assert "relay: 4" in as_it_is.text and "```python" in as_it_is.text


def test_hostile_words_reach_no_terminal(repo: Repo) -> None:
    fake(repo, HOSTILE)
    repo.git("config", "relay.sh-ell.command", "true")
    assert repo.relay("req", "--to", "fake", "--session", "s", f"look\x1b]0;owned\x07\u202e {HOSTILE}").code == 0
    repo.sh("printf 'x\\033]0;owned\\007\\033[2Jy\\n' > evil.txt")
    edit = "printf 'a\\033]0;owned\\007\\033[2Jb\\n' >> app.py"
    assert repo.relay("req", "--to", "shell", "--session", "s", edit).code == 0
    # what a remote may bring: a ref whose name and trailers nobody checked
    tree = repo.git("mktree", "--missing")
    message = "req 01 a -> b: x\x1b]0;owned\x07\u202e\n\nRelay-Id: 01\nRelay-From: a\x1b[2J\nRelay-To: b\u202e\n"
    commit = repo.sh(f"git commit-tree {tree} <<'EOF'\n{message}EOF").strip()
    repo.git("update-ref", "refs/heads/relay/evil-\u202ename\x9b", commit)
    for words in (
        ("ls",),
        ("log",),
        ("show", "s"),
        ("show", "s", "--raw"),
        ("diff", "s/02"),
        ("diff", "s/02", "--stat"),
    ):
        with on_terminal(repo, *words, columns=100, rows=200) as seen:
            assert seen.end() == 0 or words == ("log",), seen.text
        assert_harmless(seen.raw)
    assert "http://real.invalid" in repo.relay("show", "s").out
    assert repo.relay("show", "s", "--res").raw.count(b"\x1b]0;owned\x07") == 1, "a pipe gets the bytes"


@any_of(st.text(max_size=400))
def test_any_text_becomes_lines_that_fit(text: str) -> None:
    for line in markdown.lines(text, 30, colours=True):
        assert_harmless(line.encode("utf-8", "replace"))
        assert cell_len(SGR.sub("", line)) <= 30, repr(line)


@pytest.mark.slow
def test_monsters_are_laid_out_in_bounded_time() -> None:
    """Each of these would be quadratic or worse for a careless parser; the test's own limit ends it."""
    for piece in ("[", "![", "*a_", "`", "> ", "- ", "|a", "<a ", "&#", "\\", "[a](", "**", "~~", "1. ", "#", "\t"):
        text = piece * (markdown.MAX_LAID_OUT // len(piece) // 4)
        assert sum(len(line) for line in markdown.lines(text, 80, colours=False)) >= 0
    longer = "# no heading\n" * (markdown.MAX_LAID_OUT // 13 + 1)
    assert next(markdown.lines(longer, 80, colours=False)) == "# no heading"


@any_of(
    st.lists(st.lists(st.text(max_size=40), min_size=4, max_size=4), max_size=5),
    st.integers(min_value=8, max_value=120),
)
def test_no_row_is_wider_than_the_terminal(cells: list[list[str]], width: int) -> None:
    columns = [Column("A", least=6, tail="/"), Column("B", rank=2), Column("C", rank=1, least=4), Column("D")]
    drawn = list(table.lines(columns, [[(text, "") for text in row] for row in cells], width, colours=False))
    assert len(drawn) == len(cells) + 1
    for line in drawn:
        assert cell_len(line) <= width and "\n" not in line
        assert_harmless(line.encode("utf-8", "replace"))


def test_cells_are_counted_not_characters() -> None:
    assert table.cut("日本語", 6) == "日本語"
    assert table.cut("日本語", 5) == "日本…"
    assert table.cut("日本語", 4) == "日…"
    assert table.cut("a-long-session/02", 10, tail="/") == "a-long…/02"
    assert table.cut("a-long-name -> codex", 16, tail=" -> ") == "a-long… -> codex"
    assert table.cut("a-long-name -> codex", 9, tail=" -> ") == "a-long-n…"
    assert table.cut("cafe\u0301", 4) == "cafe\u0301"
    assert [ago(s) for s in (-5, 1, 2, 119, 120, 7200, 200000, 8 * 86400, 61 * 86400)] == [
        "just now",
        "just now",
        "2 seconds ago",
        "119 seconds ago",
        "2 minutes ago",
        "2 hours ago",
        "2 days ago",
        "8 days ago",
        "2 months ago",
    ]
    assert [c.rank for c in rows.SESSIONS].count(0) == 2


@pytest.mark.parametrize("given", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"GIT_CONFIG_COUNT": "1"}])
def test_without_colours_the_words_say_it_all(three: Repo, given: dict[str, str]) -> None:
    env = {**given, "GIT_CONFIG_KEY_0": "color.ui", "GIT_CONFIG_VALUE_0": "never"}
    for words in (("ls",), ("show", "auth-refactor"), ("diff", "good/01")):
        with on_terminal(three, *words, env=env, rows=60) as seen:
            assert seen.end() == 0
        assert b"\x1b" not in seen.raw, seen.raw


def test_a_pipe_gets_plain_text(three: Repo) -> None:
    env = {"TERM": "xterm-256color", "COLUMNS": "40", "FORCE_COLOR": "1", "GIT_PAGER": "exit 9", "PAGER": "exit 9"}
    for words in (("ls",), ("log",), ("show", "good"), ("status",), ("diff", "good/01")):
        plain = three.relay(*words)
        assert three.relay(*words, env=env).raw == plain.raw or words == ("ls",)
        assert b"\x1b" not in plain.raw
    assert "Fix the issues in the parser and add tests for every one of" in three.relay("log", env=env).out
    for verb in ("log", "show good", "req --to shell true", "-h", "ls -h"):
        loaded = three.sh(f"{sys.executable} -X importtime -m gitrelay {verb} 2>&1 >/dev/null")
        modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines() if line.startswith("import time:")}
        heavy = {name for name in modules if name.partition(".")[0] in ("rich", "markdown_it", "pygments")}
        assert "gitrelay.cli" in modules and not heavy, (verb, heavy)


# -- the pager -------------------------------------------------------------------------------------


def paged_by(repo: Repo, env: dict[str, str], *words: str) -> str:
    """Which pager took the output of `ls` on a terminal: the word it left, empty where there was none."""
    note = repo.path.parent / "paged"
    note.unlink(missing_ok=True)
    with on_terminal(repo, *words, "ls", env={"GIT_PAGER": "", **env}) as seen:
        assert seen.end() == 0
    assert "smoke" in seen.text, seen.text
    return note.read_text().strip() if note.exists() else ""


def test_the_pager_is_chosen_as_git_chooses(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "smoke", "true").code == 0

    def pager(name: str) -> str:
        return f'echo {name} > ../paged; test "$LESS" = FRX && cat'

    assert paged_by(repo, {"GIT_PAGER": pager("first"), "PAGER": pager("last")}) == "first"
    assert paged_by(repo, {"GIT_PAGER": "cat", "PAGER": pager("last")}) == ""
    assert paged_by(repo, {"GIT_PAGER": "", "PAGER": pager("last")}) == ""
    assert paged_by(repo, {"GIT_PAGER": pager("first")}, "--no-pager") == ""
    assert paged_by(repo, {"GIT_PAGER": pager("first"), "TERM": "dumb"}) == ""
    unset = ("env", "-u", "GIT_PAGER")

    def run(*words: str, env: dict[str, str]) -> str:
        note = repo.path.parent / "paged"
        note.unlink(missing_ok=True)
        with on_terminal(repo, *words, program=unset, env=env) as seen:
            assert seen.end() == 0, seen.text
        assert "smoke" in seen.text, seen.text
        return note.read_text().strip() if note.exists() else ""

    ours = (sys.executable, "-m", "gitrelay")
    assert run(*ours, "ls", env={"PAGER": pager("last")}) == "last"
    repo.git("config", "core.pager", pager("middle"))
    assert run(*ours, "ls", env={"PAGER": pager("last")}) == "middle"
    repo.git("config", "pager.relay", pager("own"))
    assert run(*ours, "ls", env={"PAGER": pager("last")}) == "own"
    assert run("git", "relay", "ls", env={}) == "own", "git itself starts it, and we draw into its pipe"
    repo.git("config", "pager.relay", "false")
    assert run(*ours, "ls", env={}) == ""
    assert run("git", "relay", "ls", env={}) == ""
    repo.git("config", "--unset", "pager.relay")
    assert run("git", "relay", "ls", env={}) == "middle"
    assert run("git", "--no-pager", "relay", "ls", env={}) == ""
    assert run("git", "-p", "relay", "ls", env={}) == "middle"


def test_a_pager_that_is_quit_early_or_is_not_there(repo: Repo) -> None:
    fake(repo, "word " * 60_000)
    assert repo.relay("req", "--to", "fake", "--session", "s", "long").code == 0
    with on_terminal(repo, "show", "s", env={"GIT_PAGER": "head -n 3"}) as seen:
        assert seen.end() == 0
    assert "request s/01" in seen.text and "Traceback" not in seen.text and "rror" not in seen.text
    required("less")
    with on_terminal(repo, "show", "s", env={"GIT_PAGER": "less"}, rows=10) as less:
        assert less.shows("request s/01")
        less.type("\x03")  # a key of the pager's, not our end; it throws away what is typed in the same moment
        while less.process.poll() is None:
            less.type("q")
            less.read()
        assert less.end() == 0
        assert less.is_sane
    with on_terminal(repo, "ls", env={"GIT_PAGER": "no-such-pager-here"}) as none:
        assert none.end() == 0
    assert "not found" in none.text


def test_a_message_that_is_damaged_is_shown_as_it_is(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    repo.sh("""
        blob=$(printf 'no front matter \\033[2J' | git hash-object -w --stdin)
        tree=$(printf '100644 blob %s\\t%s\\n' $blob 01.req.md $blob 01.res.md | git mktree)
        parent=$(git rev-parse relay/s~2)
        trailers='Relay-Id: 01\nRelay-Status: done\nRelay-From: a\nRelay-To: b\n'
        one=$(printf "req 01 a -> b: x\n\n$trailers" | git commit-tree $tree -p $parent)
        two=$(printf "res 01 b -> a: done, verify pass\n\n$trailers" | git commit-tree $tree -p $one)
        git update-ref refs/heads/relay/s $two
    """)
    with on_terminal(repo, "show", "s") as seen:
        assert seen.end() == 0, seen.text
    assert seen.text.count("no front matter �[2J") == 2
    assert json.loads(repo.relay("log", "s", "--json").raw)["exit_code"] == 0
