"""The pictures of docs/reading.md, taken anew: python tests/screenshots.py [FOLDER]

A repository with a session that real calls have made (the agents' answers are written down here) among generated
ones, exported and looked at with Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from browser import DESKTOP, PHONE, Browser, started
from conftest import Repo, sealed_environment

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
from make_history import make  # noqa: E402

STORE = """\
import sqlite3


def find(db: sqlite3.Connection, name: str) -> list[tuple[int, str]]:
    return db.execute("select id, name from users where name = '" + name + "'").fetchall()
"""
TEST = """\
import sqlite3

from store import find


def test_a_quote_in_a_name_is_part_of_it() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("create table users (id integer primary key, name text)")
    db.execute("insert into users (name) values (?)", ("o'hara",))
    assert find(db, "o'hara") == [(1, "o'hara")]
"""
CHECK = "python3 -c 'import test_store; test_store.test_a_quote_in_a_name_is_part_of_it()'"
# (caller, peer, access, check, task, what the peer does, what it answers, verify)
TURNS = (
    (
        "claude",
        "codex",
        "read",
        None,
        "Review `store.py` for security issues.\n\nLook at how queries are built, and say for each finding what would "
        "mend it.",
        "",
        "One finding, and it is serious.\n\n| severity | place | what |\n|---|---|---|\n| **blocker** | `store.py:5` | "
        "the name is pasted into the query |\n\nAnybody who can choose a name can read every row:\n\n```python\n"
        'find(db, "\' or 1=1 --")\n```\n\nPass the name as a parameter:\n\n```python\ndb.execute("select id, name from '
        'users where name = ?", (name,))\n```\n',
        "fail",
    ),
    (
        "claude",
        "codex",
        "write",
        CHECK,
        "Fix the finding of turn 01 and add a test. Run it to verify.",
        "cp ../test_store.py .",
        "The name is a **parameter** now, and `test_store.py` holds a name with a quote in it.\n\n- changed `find` in "
        "`store.py`\n- added one test; it failed before the change and passes with it\n\nNothing else builds a query "
        "from text: `grep -n execute` finds two places, and the other one has no variable part.\n",
        "pass",
    ),
    (
        "claude",
        "codex",
        "write",
        CHECK,
        "The check of turn 02 fails: `find` still pastes the name into the query. Change it.",
        "cp ../mended.py store.py",
        "You are right: the edit of `store.py` was refused, and I did not look at the result.\n\nNow it is made, and "
        "`o'hara` is found.\n\n> For later: there is no index on `users.name`.\n",
        "pass",
    ),
)


def tell(repo: Repo) -> None:
    """The session `auth-refactor`, by real calls to programs that answer as written above."""
    home = repo.path.parent
    (repo.path / "store.py").write_text(STORE)
    (home / "mended.py").write_text(STORE.replace("""'" + name + "'").fetch""", """?", (name,)).fetch"""))
    (home / "test_store.py").write_text(TEST)
    repo.sh("git add store.py; git commit -qm 'Keep users in a table'")
    for number, (caller, peer, access, check, task, work, answer, verify) in enumerate(TURNS, 1):
        head = f"---\nrelay: 4\nre: {number:02d}\nfrom: {peer}\nto: {caller}\nstatus: done\nverify: {verify}\n---\n\n"
        (home / "answer.md").write_text(head + answer)
        (home / "peer.sh").write_text(f"cat > /dev/null\n{work or ':'}\nsleep 0.4\ncat ../answer.md\n")
        repo.git("config", f"relay.{peer}.command", "sh ../peer.sh")
        words = ["req", "--from", caller, "--to", peer, "--session", "auth-refactor", "--access", access]
        done = repo.relay(*words, *(["--check", check] if check else []), task)
        assert done.code in (0, 1), done.err


def take(browser: Browser, file: Path) -> None:
    browser.run("scrollTo(0, 0); document.activeElement?.blur()")
    assert browser.driver.save_screenshot(str(file))
    print(f"{file.name}: {file.stat().st_size // 1000} kB")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/screenshots"
    with tempfile.TemporaryDirectory() as folder, started(Path(folder) / "profile") as browser:
        repo = Repo(Path(folder) / "shop", sealed_environment(Path(folder) / "home"))
        make(repo.path, sessions=60, exchanges=8)
        repo.sh("git checkout -q --orphan main")
        tell(repo)
        assert repo.relay("export", "-o", "../site").code == 0
        site = Path(folder) / "site"
        session = (site / "sessions/auth-refactor.html").as_uri()
        browser.dark(False)
        for page, file in (((site / "index.html").as_uri(), "index"), (session, "session"),
                           ((site / "figures.html").as_uri(), "figures")):  # fmt: skip
            browser.open(page)
            take(browser, target / f"{file}.png")
        browser.open((site / "index.html").as_uri() + "#q=header+empty&verify=fail")
        take(browser, target / "search.png")
        browser.dark(True)
        browser.open(session + "#t-02")
        browser.run("document.querySelector('#t-02 details.file').open = true")
        assert browser.driver.save_screenshot(str(target / "dark.png"))
        browser.dark(False)
        browser.size(PHONE)
        browser.open(session)
        take(browser, target / "mobile.png")
        browser.size(DESKTOP)


if __name__ == "__main__":
    main()
