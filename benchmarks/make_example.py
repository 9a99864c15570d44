"""A repository with two weeks of an imaginary project's sessions, to look at: `mailsort`, which files mail by rules.

    python benchmarks/make_example.py FOLDER

The same bytes every time. With it, `benchmarks/screenshots.py` makes the pictures in screenshots.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from helping import helped

from support.recorded import Files, Recorder, Session

BEGIN = 1_789_372_800  # 2026-09-14 08:00 UTC
DAY = 86_400
PARSER = '''\
"""Rules: one a line, `FIELD CONTAINS WORDS -> FOLDER`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    field: str
    words: str
    folder: str


def parse(text: str) -> list[Rule]:
    rules = []
    for line in text.splitlines():
        condition, folder = line.split("->")
        field, words = condition.split(" contains ")
        rules.append(Rule(field.strip(), words.strip(), folder.strip()))
    return rules
'''
PARSER_2 = PARSER.replace(
    """\
    for line in text.splitlines():
        condition, folder = line.split("->")
        field, words = condition.split(" contains ")
""",
    """\
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        condition, arrow, folder = line.partition("->")
        field, contains, words = condition.partition(" contains ")
        if not (arrow and contains and folder.strip()):
            raise RuleError(number, line)
""",
).replace(
    "def parse(",
    '''\
class RuleError(ValueError):
    """A line that is no rule: `number` counts from 1."""

    def __init__(self, number: int, line: str) -> None:
        super().__init__(f"line {number}: {line.strip()!r} is no rule")
        self.number = number


def parse(''',
)
PARSER_3 = PARSER_2.replace("field.strip(), words", "field.strip().lower(), words")
TESTS = """\
import pytest

from mailsort.rules import RuleError, parse


def test_blank_lines_and_comments_are_skipped():
    assert parse("\\n# lists\\nsubject contains [dev] -> dev\\n")[0].folder == "dev"


@pytest.mark.parametrize("text", ["subject contains x", "subject -> dev", "-> dev", "subject contains x ->"])
def test_a_line_that_is_no_rule_is_named(text):
    with pytest.raises(RuleError, match="line 2"):
        parse("# rules\\n" + text)
"""
STORE = """\
import os
from pathlib import Path


def deliver(message: bytes, folder: Path, name: str) -> Path:
    target = folder / name
    with open(target, "wb") as f:
        f.write(message)
    return target
"""
STORE_2 = STORE.replace(
    """    target = folder / name
    with open(target, "wb") as f:
        f.write(message)
    return target
""",
    '''    """Whole or not at all: a reader never sees half a message."""
    partial = folder.parent / "tmp" / name
    with open(partial, "xb") as f:
        f.write(message)
        f.flush()
        os.fsync(f.fileno())
    return partial.rename(folder / name)
''',
)
BASE: Files = {
    "mailsort/rules.py": PARSER,
    "mailsort/store.py": STORE,
    "README.md": "# mailsort\n\nFiles mail by rules.\n",
}

REVIEW = """\
Review `mailsort/store.py` for what happens when the machine loses power in the middle of a delivery.

- Read only; change nothing.
- Say for each finding how one could see it, and what you would do about it.\
"""
FINDINGS = """\
Two findings, the first one serious.

1. **A reader can see half a message.** `deliver` opens the file under its final name, so anything that lists the folder
   between `open` and `close` reads a cut message; after a power loss it stays cut.
2. **Nothing is synchronised.** Even a whole write can be lost, or come back as zeros on some file systems.

Write to `tmp/` beside the folder, `fsync`, then rename, as Maildir does:

```python
with open(partial, "xb") as f:
    f.write(message)
    f.flush()
    os.fsync(f.fileno())
partial.rename(folder / name)
```

| failure | now | with the change |
|---|---|---|
| power lost while writing | half a message | no message, and the sender tries again |
| two deliveries of one name | the second wins | the second fails: `FileExistsError` |

I did not look at `mailsort/rules.py`.\
"""


def used(usage: str, model: str) -> dict[str, str]:
    return {"Relay-Usage": usage, **({"Relay-Model": model} if model else {})}


def rules(history: Recorder) -> Session:
    s = history.session("rule-errors", "claude", at=BEGIN + 9 * DAY + 7300)
    task = """\
`parse` in `mailsort/rules.py` fails with a bare `ValueError: not enough values to unpack` where a line is no rule.

1. Skip blank lines and comments.
2. Raise `RuleError` with the number of the line and the line itself.
3. Add tests for both.\
"""
    s.ask("claude", "codex", task, BASE)
    answer = """\
Done. `parse` skips blank lines and lines that start with `#`; everything else that is no rule raises `RuleError`, which
says where:

```console
$ mailsort check rules.txt
line 7: 'subject contains [dev]' is no rule
```

`RuleError` is a `ValueError`, so callers that caught that still do. I kept `splitlines`, which also ends a line at a
form feed; say if that matters.\
"""
    files: dict[str, str] = {**BASE, "mailsort/rules.py": PARSER_2, "tests/test_rules.py": TESTS}
    s.answer(answer, files=files, seconds=94, trailers=used("input=48210 cached=39424 output=2967", "gpt-5.5"))
    s.check(
        "pytest -q", output="......                                             [100%]\n6 passed in 0.21s", seconds=2
    )
    s.at += 400
    s.ask("claude", "codex", "Field names should not depend on case: `Subject contains x` is a rule for `subject`.")
    files |= {"mailsort/rules.py": PARSER_3}
    said = "Field names are lower-cased as they are read, so `Subject` and `subject` are one field. All tests pass."
    s.answer(said, files=files, seconds=41, trailers=used("input=52877 cached=47104 output=803", "gpt-5.5"))
    failed = """\
......F                                            [100%]
=================================== FAILURES ===================================
____________________________ test_fields_of_a_message __________________________
    def test_fields_of_a_message():
>       assert fields(MESSAGE)["Subject"] == "[dev] build"
E       KeyError: 'Subject'
tests/test_fields.py:12: KeyError
1 failed, 6 passed in 0.24s"""
    s.check("pytest -q", "fail (exit 1)", failed)
    s.at += 120
    task = "The check failed: `tests/test_fields.py` looks fields up as they are written in the message. Mend the test."
    s.ask("claude", "codex", task)
    files |= {"tests/test_fields.py": 'def test_fields_of_a_message():\n    assert fields(MESSAGE)["subject"]\n'}
    said = "The test asks for `subject` now, as rules see it. Before, I had run `tests/test_rules.py` only."
    s.answer(said, files=files, seconds=63, trailers=used("input=57002 cached=52736 output=1204", "gpt-5.5"))
    s.check("pytest -q", output=".......                                            [100%]\n7 passed in 0.22s")
    return s


def store(history: Recorder) -> None:
    s = history.session("store-review", "codex", at=BEGIN + 8 * DAY + 900)
    s.ask("codex", "claude", REVIEW, BASE, {"Relay-Access": "read"})
    usage = used("input=18731 cached=12044 output=1688 cost_usd=0.0912", "claude-opus-4-7")
    s.answer(FINDINGS, verify="skip", seconds=71, trailers={**usage, "Relay-Sandbox": "held"})
    s.at += 900
    s.ask("codex", "claude", "Do it, with a test that a second delivery of one name fails.")
    test = "def test_a_name_is_delivered_once(tmp_path): ...\n"
    usage = used("input=26120 cached=18004 output=3120 cost_usd=0.1604", "claude-opus-4-7")
    said = "`deliver` writes below `tmp/` and renames. The test delivers twice and expects `FileExistsError`."
    s.answer(
        said, files={**BASE, "mailsort/store.py": STORE_2, "tests/test_store.py": test}, seconds=132, trailers=usage
    )
    s.check(
        "pytest -q tests/test_store.py",
        output="..                                                 [100%]\n2 passed in 0.09s",
    )


SMALL = (  # what smaller sessions ask and are answered: name, task, answer, how it ends
    (
        "imap-folders",
        "List the folders that the server offers, subscribed ones first.",
        "`LSUB` first, then `LIST`.",
        "pass",
    ),
    (
        "attachment-size",
        "Why does a message of 30 MB take 4 s?",
        "It is decoded twice; `walk()` runs once for text.",
        "skip",
    ),
    (
        "utf7-names",
        "Decode folder names in modified UTF-7.",
        "Decoded, with the examples of RFC 3501 as tests.",
        "pass",
    ),
    (
        "type-hints",
        "Make `mypy --strict` pass on `mailsort/store.py`.",
        "It passes; two casts are left, both explained.",
        "pass",
    ),
    ("cli-help", "Write the text for `mailsort -h`.", "Eight lines; each verb has one example.", "skip"),
    (
        "date-header",
        "Sort by `Date`, also where it cannot be read.",
        "Unreadable dates sort last, in order of arrival.",
        "pass",
    ),
    ("release-notes", "Draft notes for 0.4 from the log.", "Drafted, in users' words.", "skip"),
    ("spam-folder", "Move what `X-Spam-Flag: YES` marks.", "A rule does that; no code was needed.", "pass"),
    ("bench-parse", "Measure `parse` with 10,000 rules.", "31 ms; nothing to do.", "skip"),
    (
        "mbox-import",
        "Read mbox files, `From ` quoting included.",
        "Read; one of the tests still fails on CRLF.",
        "fail",
    ),
    (
        "lock-files",
        "Do two runs at once harm each other?",
        "They do: both deliver. A lock on the store mends it.",
        "pass",
    ),
    (
        "docs-rules",
        "Explain rules in the README with five examples.",
        "Explained; each example is run by a test.",
        "pass",
    ),
)
PEERS = (
    ("claude", "codex", "gpt-5.5", ""),
    ("codex", "claude", "claude-opus-4-7", "0.08"),
    ("claude", "gemini", "gemini-3-pro", ""),
    ("claude", "opencode", "", ""),
)
FOLLOW = (
    ("Add a test for the empty case.", "Added; it passes."),
    ("Can the name be shorter?", "Renamed, in the docs too."),
    ("Run it on the archive of last year.", "41,208 messages, none in a wrong folder."),
    ("What happens where the folder is missing?", "It is made, with the mode of its parent."),
    ("Say so in the changelog.", "One sentence, under *Fixed*."),
    ("Does `--dry-run` still write nothing?", "It writes nothing; a test looks at every file's time."),
    ("Use `pathlib` throughout.", "Done; no `os.path` is left in the package."),
)


def small(history: Recorder, chance: random.Random) -> Iterator[Session]:
    for number, (name, task, said, verify) in enumerate(SMALL * 2):
        again = number >= len(SMALL)
        at = BEGIN + (number * 7 % 12) * DAY + chance.randrange(9 * 3600)
        s = history.session(f"{name}-2" if again else name, "claude", at=at, archived=number % 9 == 8)
        caller, peer, model, cost = chance.choice(PEERS)
        for turn in range(chance.choice((1, 1, 2, 2, 3, 4))):
            ask, body = (task, said) if turn == 0 else FOLLOW[(number * 3 + turn) % len(FOLLOW)]
            s.ask(caller, peer, ask, BASE)
            seconds = min(chance.lognormvariate(4.1, 0.9), 1500)
            if chance.random() < 0.08:
                reason = chance.choice(("timeout", "quota", "timeout"))
                s.answer(f"gitrelay: {reason}", "error", "skip", seconds=seconds, reason=reason)
            else:
                tokens = chance.randint(9_000, 90_000)
                usage = f"input={tokens} cached={tokens * 7 // 10} output={chance.randint(300, 6000)}"
                usage += f" cost_usd={float(cost) * tokens / 20_000:.4f}" if cost else ""
                s.answer(body, "done", verify if turn == 0 else "pass", seconds=seconds, trailers=used(usage, model))
                if verify != "skip" and chance.random() < 0.6:
                    fails = verify == "fail" or chance.random() < 0.1
                    s.check("pytest -q", "fail (exit 1)" if fails else "pass", "12 passed")
            s.at += chance.randint(60, 1800)
        yield s


def make(folder: Path) -> None:
    """`git init` in `folder` and fill it."""
    history = Recorder()
    list(small(history, random.Random(4)))
    store(history)
    rules(history)
    s = history.session("move-undo", "claude", at=BEGIN + 9 * DAY + 12_000)
    s.ask("claude", "gemini", "Plan `mailsort undo`: what must be kept so that a run can be taken back?", BASE)
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    history.write(folder, {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull})


if __name__ == "__main__":
    helped(__doc__)
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    make(Path(sys.argv[1]))
