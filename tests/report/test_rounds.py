"""Loops, attempts and questions have a drawing of their own, in an export and in the live site."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from support import loops
from support.recorded import Recorder
from support.repo import Repo, sealed_environment
from support.waiting import eventually
from support.website import served

ASKER = """\
import re, sys
prompt = sys.stdin.read()
to = dict(re.findall(r"^  (re|from|to): (\\S+)$", prompt, re.M))
print(f"---\\nrelay: 4\\nre: {to['re']}\\nfrom: {to['from']}\\nto: {to['to']}")
if "answers your question" in prompt:
    print("status: done\\nverify: pass\\n---\\n\\nMoved.")
else:
    print("status: error\\nverify: skip\\nreason: needs-input\\n---\\n\\nWhich database?\\n\\n- Postgres\\n- <b>SQLite")
"""


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>|\s+", " ", html).split())


def part(page: str, begin: str) -> str:
    """The section whose first words are `begin`."""
    assert begin in page, begin
    return page.partition(begin)[2].partition("</section>")[0]


def rows(section: str) -> list[str]:
    return [words(row) for row in re.findall(r"<tr>(.*?)</tr>", section, re.S)]


def test_a_loop_is_a_table_of_rounds(repo: Repo) -> None:
    place = loops.make(repo)
    check = "test $(cat n) -ge 2 || { echo n is $(cat n); exit 1; }"
    loop = ("--build", "builder", "--review", "rev", "--rounds", "4", "--check", check)
    assert place.relay("loop", "--session", "w", *loop, "Count.").code == 0
    assert (
        place.relay("loop", "--session", "dear", "--build", "builder", "--check", "false", "--budget", "1ms", "x").code
        == 4
    )
    assert place.relay("export", "-o", "../site").code == 0
    page = (place.path.parent / "site/sessions/w.html").read_text()
    section = part(page, '<section class="loop" aria-label="Loop that began in w/01">')
    text = words(section)
    assert "3 rounds of at most 4" in text and "✓ passed It ended: the last round passed ( 04 )" in text, text
    head, one, two, two_review, found, three, three_review, closed = rows(section)
    assert head == "Round Turn Who Claim Checks Findings Time Tokens Cost"
    assert re.match(r"1 01 bu builder skip ✗ fail \(exit 1\) no review \d", one), one
    assert re.match(r"2 02 bu builder skip ✓ pass 1 open, 0 closed \d", two), two
    assert two_review == "w-review/01 re rev reviews fail" and found == "open major n:1 the number c is too small"
    assert re.match(r"3 03 bu builder skip ✓ pass 0 open, 1 closed \d", three), three
    assert three_review == "w-review/02 re rev reviews pass" and closed == "closed major n:1 the number c is too small"
    assert 'href="../sessions/w-review.html#t-01"' in section and 'href="#t-02"' in section
    dear = words(part((place.path.parent / "site/sessions/dear.html").read_text(), '<section class="loop"'))
    assert "✗ budget It ended: its budget was used up ( 02 )." in dear, dear
    # a page that has no other session leads to none
    assert place.relay("export", "w", "-o", "../w.html").code == 0
    assert "w-review.html" not in (place.path.parent / "w.html").read_text()


def test_a_loop_that_is_no_loop_is_not_drawn(tmp_path: Path) -> None:
    env = sealed_environment(tmp_path / "home")
    repo, history = Repo(tmp_path / "repo", env), Recorder()
    terms = {"Relay-Loop": '{"build": "b", "review": "r"}'}
    s = history.session("w", "uma", at=1_790_000_000)
    s.ask("uma", "b", "Build", trailers=terms | {"Relay-Key": "loop w/01 r1 build 1"}).answer("Built.")
    review = history.session("w-review", "uma", at=1_790_000_000)
    review.ask("uma", "r", "Review", trailers={"Relay-Key": "loop w/01 r1 review 1"}).answer(
        "", data=b"\xff no message"
    )
    s = history.session("x", "uma", at=1_790_000_000)
    s.turn = 1
    says = {"Relay-Id": "01", "Relay-From": "uma", "Relay-To": "b", **terms}
    s.commit("uma", "req 01 uma -> b: x", says, "01.req.md", b"\x00 no message")
    history.write(repo.path, env)
    done = repo.relay("export", "-o", "../site")
    assert done.code == 0, done.err
    for session in ("w", "x"):
        page = (tmp_path / f"site/sessions/{session}.html").read_text()
        assert f'id="s-{session}"' in page and 'class="loop"' not in page
    assert "What is recorded is not a message" in (tmp_path / "site/sessions/x.html").read_text()


def test_attempts_say_what_was_picked_and_applied(repo: Repo) -> None:
    for name, command in (("one", "echo one > done"), ("two", "echo two > done; echo > more")):
        repo.git("config", f"relay.{name}.command", f"sh -c '{command}'")
        repo.git("config", f"relay.{name}.verdict", "exit")
    asked = ("--to", "one", "--to", "two", "--check", "test -e more", "--pick", "check", "--name", "both")
    assert repo.relay("req", *asked, "Do it.").code == 0
    with served(repo) as site:
        begin = '<section class="part attempts"'
        before = site.get("sessions/both.html").body
        one, two = part(before, begin).split("</article>")[:2]
        assert "both-one/01 ✗ check-failed, claimed pass" in words(one) and "1 file, +1 &minus;0" in words(one)
        assert "both-two/01 picked" in words(two) and "2 files, +2 &minus;0" in words(two)
        assert "applied" not in part(before, begin)
        assert repo.relay("apply", "both").code == 0
        assert eventually(lambda: "picked applied" in words(part(site.get("sessions/both.html").body, begin)))
        after = site.get("sessions/both.html").body
        old, new = (re.findall(r'data-version="(\w+)" data-address', page) for page in (before, after))
        assert old != new, "an open page brings it in"


def test_a_question_says_who_answered_it_and_when(repo: Repo) -> None:
    program = repo.path.parent / "asker.py"
    program.write_text(ASKER)
    repo.git("config", "relay.asker.command", f"{shlex.quote(sys.executable)} {shlex.quote(str(program))}")
    for session in ("chosen", "open", "on"):
        assert repo.relay("req", "--to", "asker", "--session", session, "Move it.").code == 3
    assert repo.relay("answer", "--option", "2", "chosen/01").code == 0
    assert repo.relay("req", "--to", "asker", "--session", "on", "Forget it.").code == 3
    assert repo.relay("export", "-o", "../site").code == 0

    def question(session: str) -> str:
        page = Path(repo.path.parent / f"site/sessions/{session}.html").read_text()
        section = part(page, '<section class="part question"')
        assert "&lt;b&gt;SQLite" in section
        return words(section)

    assert re.search(
        r"answered by [\w-]+ after \d\S* in 02 Which database\? Postgres &lt;b&gt;SQLite ✓ the answer$",
        question("chosen"),
    )
    assert "open since" in question("open") and "git relay answer open/01 --option 1" in question("open")
    assert re.search(r"not answered; [\w-]+ went on after \S+ with 02 ", question("on"))
