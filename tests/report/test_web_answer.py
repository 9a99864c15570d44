"""`git relay web --answer`: the page of open questions, what it takes, and what it does not."""

from __future__ import annotations

import contextlib
import http.client
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.browser import started
from support.repo import Repo
from support.waiting import eventually
from support.website import Site, served

ASKER = """\
import re, sys
prompt = sys.stdin.read()
to = dict(re.findall(r"^  (re|from|to): (\\S+)$", prompt, re.M))
print(f"---\\nrelay: 4\\nre: {to['re']}\\nfrom: {to['from']}\\nto: {to['to']}")
if "Postgres" in prompt or "<b>" in prompt:
    print("status: done\\nverify: pass\\n---\\n\\nMoved.")
else:
    print("status: error\\nverify: skip\\nreason: needs-input\\n---\\n")
    print("Which <i>database</i>?\\n\\n- Postgres\\n- <b>SQLite")
"""


@pytest.fixture
def asked(repo: Repo) -> Repo:
    """A repository with two open questions."""
    place = repo.path.parent / "asker.py"
    place.write_text(ASKER)
    repo.git("config", "relay.asker.command", f"{shlex.quote(sys.executable)} {shlex.quote(str(place))}")
    for session in ("one", "two"):
        assert repo.relay("req", "--to", "asker", "--session", session, "Move it.").code == 3
    return repo


def post(site: Site, fields: dict[str, str], *, path: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    with contextlib.closing(connection):
        own = {
            "Host": f"127.0.0.1:{site.port}",
            "Origin": f"http://127.0.0.1:{site.port}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        sent = own | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path or f"/{site.token}/questions.html", urlencode(fields), sent)
        found = connection.getresponse()
        return found.status, found.read().decode()


def test_only_the_page_itself_may_answer(asked: Repo) -> None:
    link = '<a href="sessions/one.html#t-01"><bdi>one/01</bdi></a> (<bdi>asker</bdi>)'
    with served(asked) as site:
        index = site.get("index.html").body
        assert link in index and 'href="questions.html"' not in index
        assert site.get("questions.html").status == 404
        assert post(site, {"address": "one/01", "text": "Postgres"})[0] == 405
    with served(asked, "--answer") as site:
        index = site.get("index.html").body
        assert link in index and '<a href="questions.html">Answer</a>' in index
        page = site.get("questions.html")
        assert page.status == 200 and "&lt;i&gt;database" in page.body and "&lt;b&gt;SQLite" in page.body
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
        found = re.search(r"name=csrf value='([\w-]+)'", page.body)
        assert found is not None
        form = {"csrf": found[1], "address": "one/01", "text": "Postgres"}
        for status, wrong in (
            (403, {"path": "/wrong/questions.html"}),
            (403, {"Host": "evil.invalid"}),
            (403, {"Origin": "http://evil.invalid"}),
            (403, {"Origin": "null"}),
            (403, {"Content_Type": "text/plain"}),
            (413, {"Content_Length": "99999999"}),
            (405, {"path": f"/{site.token}/index.html"}),
        ):
            assert post(site, form, **wrong)[0] == status, wrong
        assert post(site, form | {"csrf": "x"})[0] == 403
        assert post(site, form | {"address": "--help"})[0] == 403
        waiting = asked.relay("ls", "--questions", "--json").json["data"]
        assert {e["address"] for e in waiting} == {"one/01", "two/01"}
        status, body = post(site, form)
        assert status == 200 and "Answered: one/02" in body
        assert asked.relay("wait", "one/02").code == 0
        assert eventually(lambda: link not in site.get("index.html").body)
        assert "Not answered" in post(site, form | {"text": "SQLite"})[1]


def test_a_question_is_answered_in_the_browser(asked: Repo, tmp_path: Path) -> None:
    with started(tmp_path / "profile") as browser, served(asked, "--answer") as site:
        browser.open(f"http://127.0.0.1:{site.port}/{site.token}/questions.html")
        assert len(browser.texts("article")) == 2 and browser.texts("i") == []
        browser.driver.find_element("css selector", "article:nth-of-type(1) button[name=option]").click()
        assert eventually(lambda: "Answered" in " ".join(browser.texts("[role=status]")))
        assert not [line for line in browser.console() if "Security" in line]
        assert len(browser.texts("article")) == 1
        browser.type("article textarea", "<b>SQLite, please.")
        browser.driver.find_element("css selector", "article form:nth-of-type(2) button").click()
        assert eventually(lambda: not browser.texts("article"))
    for session in ("one", "two"):
        assert asked.relay("wait", f"{session}/02").code == 0
    assert asked.relay("ls", "--questions", "--json").json["data"] == []
