"""The live site over real sockets: who is shown what, and that it follows the repository."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from gitrelay.ledger.ledger import open_ledger
from gitrelay.report import server
from gitrelay.report.live import Live
from support.recorded import Recorder
from support.repo import Repo
from support.waiting import eventually, patient
from support.website import ask, served


@pytest.fixture
def asked(repo: Repo) -> Repo:
    ask(repo, "first", "echo '<b>one</b>'")
    return repo


def test_every_page_is_there_and_follows_what_is_recorded(asked: Repo) -> None:
    with served(asked) as site:
        assert "first" in site.get().body
        page = site.get("sessions/first.html")
        assert page.status == 200 and "&lt;b&gt;one" in page.body and "<b>one" not in page.body
        assert "connect-src 'self'" in html.unescape(page.body) and "1 call of" in site.get("figures.html").body
        before = site.version
        assert f'data-version="{before}"' in page.body
        ask(asked, "session-two", "true")
        assert eventually(lambda: site.version != before)
        assert "session-two" in site.get("index.html").body and site.get("sessions/session-two.html").status == 200
        # a page that has not changed is the same but for the state of the whole
        again = site.get("sessions/first.html").body
        assert again == page.body.replace(before, site.version, 1)
        asked.git("update-ref", "-d", "refs/heads/relay/session-two")
        assert eventually(lambda: site.version == before)
        assert site.get("sessions/session-two.html").status == 404 and "session-two" not in site.get().body
        assert asked.relay("archive", "first").code == 0
        assert eventually(lambda: site.version != before)
        assert "archived" in site.get("sessions/first.html").body


def test_a_running_call_is_told_and_nothing_is_written(asked: Repo) -> None:
    with served(asked) as site:
        assert asked.relay("req", "--to", "shell", "--session", "long", "-d", "echo half way; sleep 100").code == 0
        (call,) = json.loads(site.get("state.json").body)["running"]
        assert call["address"] == "long/01" and call["words"].startswith("shell has been at work for ")
        said = ("last output ", " left: ", "half way")
        assert eventually(
            lambda: all(w in json.loads(site.get("state.json").body)["running"][0]["words"] for w in said)
        )
        assert 'data-running="long/01"' in site.get("sessions/long.html").body
        refs = asked.git("for-each-ref")
        for page in ("", "figures.html", "sessions/first.html"):
            assert site.get(page).status == 200
        assert asked.git("for-each-ref") == refs
        assert asked.relay("cancel", "long/01").code == 0


def test_who_does_not_know_the_address_is_shown_nothing(asked: Repo) -> None:
    with served(asked) as site:
        for path in ("/", "/first", "/sessions/first.html", f"/{site.token[:-1]}/", f"/{site.token}x/", "//", "/%00/"):
            refused = site.get(path=path)
            assert refused.status == 403 and "first" not in refused.body, path
        for host in ("evil.example", f"evil.example:{site.port}", "127.0.0.1", f"127.0.0.1:{site.port + 1}"):
            assert site.get(host=host).status == 403, host
        assert site.get(host=f"localhost:{site.port}").status == 200
        with socket.create_connection(("127.0.0.1", site.port), timeout=30) as raw:
            raw.sendall(f"GET /{site.token}/ HTTP/1.0\r\n\r\n".encode())  # no Host at all
            assert b" 403 " in raw.recv(4096)
        listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True)
        if listening.returncode == 0:
            (line,) = [row for row in listening.stdout.splitlines() if f":{site.port} " in row]
            assert f"127.0.0.1:{site.port}" in line


def test_it_only_reads_and_no_other_site_may_read_it(asked: Repo) -> None:
    with served(asked) as site:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            refused = site.get(method=method)
            assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD", method
        head = site.get(method="HEAD")
        assert head.status == 200 and head.body == "" and int(head.headers["Content-Length"]) > 1000
        assert head.headers["X-Frame-Options"] == "DENY" and head.headers["Referrer-Policy"] == "no-referrer"
        assert head.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in head.headers
        assert site.get(path=f"/{site.token}").headers["Location"] == f"/{site.token}/"
        for page in ("sessions/../../.git/config", "sessions/%2e%2e.html", "sessions/nobody.html", "x", "sessions/"):
            assert site.get(page).status == 404, page
        assert site.get("x" * 2000).status == 414


def test_every_answer_carries_a_strict_policy(asked: Repo) -> None:
    """As a header too, so that it holds from the first byte; a page's own names its style and scripts by hashes."""
    with served(asked) as site:
        for page in ("", "figures.html", "sessions/first.html"):
            answer = site.get(page)
            (own,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', answer.body)
            policy = answer.headers["Content-Security-Policy"]
            assert policy == f"{html.unescape(own)}; frame-ancestors 'none'" and policy.startswith("default-src 'none'")
            assert "unsafe" not in policy and "*" not in policy
        head = site.get(method="HEAD")
        others = [site.get("state.json"), site.get("x"), site.get(path="/"), site.get(method="PUT")]
        others += [site.get("x" * size) for size in (2000, 70_000)]  # the longer one is too long for the library itself
        assert [answer.status for answer in others] == [200, 404, 403, 405, 414, 414]
        for answer in (head, *others):
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), answer
            assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'"), answer
            assert (
                answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
            )
            assert not {"Access-Control-Allow-Origin", "Set-Cookie"} & set(answer.headers)


def test_slow_strangers_keep_nobody_out_and_cut_off_no_reader(asked: Repo, tmp_path: Path) -> None:
    history = Recorder()
    session = history.session("long", "claude", at=1_790_000_000)
    for _ in range(4):
        session.ask("claude", "codex", "x" * 3_000_000).answer("y")
    history.write(tmp_path / "long", asked.env)
    with served(Repo(tmp_path / "long", asked.env)) as site, contextlib.ExitStack() as stack:
        reader = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=30))
        request = f"GET /{site.token}/sessions/long.html HTTP/1.0\r\nHost: 127.0.0.1:{site.port}\r\n\r\n"
        reader.sendall(request.encode())
        got = reader.recv(4096)  # the page is being sent, and is larger than what the system keeps of it
        assert b" 200 " in got
        for _ in range(80):  # more than it holds
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=30))
            slow.sendall(b"GET /")
        assert site.get().status == 200
        while more := reader.recv(1 << 20):
            got += more
        assert len(got) > 12_000_000 and got.rstrip().endswith(b"</html>")


def test_who_sends_a_byte_now_and_then_is_cut_off(asked: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_STEP", 0.5)  # seconds in all; the library's own limit, for each byte, stays
    with server.Server(Live(open_ledger(asked.path)), "secret") as running:
        serving = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            with socket.create_connection(("127.0.0.1", running.port), timeout=30) as slow:

                def cut() -> bool:
                    try:
                        slow.sendall(b"G")
                        slow.setblocking(False)
                        return slow.recv(1) == b""
                    except BlockingIOError:
                        return False
                    except OSError:
                        return True

                assert eventually(cut, 10)
        finally:
            running.shutdown()
            serving.join()


def test_a_session_that_goes_between_two_looks_is_no_error(asked: Repo) -> None:
    """The refs are looked at once a second; what is asked for may be gone by then."""
    ask(asked, "session-two", "true")
    with served(asked) as site:
        assert site.version
        asked.git("update-ref", "-d", "refs/heads/relay/session-two")
        assert site.get("sessions/session-two.html").status == 404
    ask(asked, "session-two", "true")
    with served(asked) as site:
        assert site.version
        asked.git("update-ref", "-d", "refs/heads/relay/session-two")
        index = site.get()
        assert index.status == 200 and "first" in index.body and "session-two" not in index.body


def test_a_damaged_session_hides_no_other_and_comes_back(asked: Repo) -> None:
    ask(asked, "session-two", "true")
    tip = asked.git("rev-parse", "relay/session-two")
    file = asked.path / ".git/objects" / tip[:2] / tip[2:]
    data = file.read_bytes()
    file.unlink()
    with served(asked) as site:
        index = site.get()
        assert index.status == 200 and "first" in index.body and "session-two" in index.body
        assert "It cannot be read." in site.get("sessions/session-two.html").body
        assert site.get("figures.html").status == 200
        file.write_bytes(data)
        mended = site.get("sessions/session-two.html").body
        assert "It cannot be read." not in mended and mended.count('class="turn ') == 1
        assert '["session-two",0,"",[[' in site.get().body and "2 calls of" in site.get("figures.html").body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_with_readers_there(asked: Repo, number: signal.Signals) -> None:
    with served(asked) as site, socket.create_connection(("127.0.0.1", site.port)) as reader:
        reader.sendall(b"GET /")
        assert site.get().status == 200
        site.process.send_signal(number)
        out, err = site.process.communicate(timeout=patient(5))
        # the envelope was its answer, and there is not another one
        assert (site.process.returncode, out, err) == (128 + number, b"", b"")


def test_ctrl_c_is_quiet_while_git_is_asked(asked: Repo, tmp_path: Path) -> None:
    """On a terminal it goes to git too, which is asked in the thread of a reader."""
    slow, asked_it, folder = tmp_path / "slow", tmp_path / "asked", tmp_path / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(
        f'#!/bin/sh\nif [ -e "{slow}" ]; then : > "{asked_it}"; exec sleep 60; fi\nPATH=${{PATH#*:}} exec git "$@"\n'
    )
    git.chmod(0o755)
    repo = Repo(asked.path, {**asked.env, "PATH": f"{folder}:{asked.env['PATH']}"})
    with served(repo) as site, socket.create_connection(("127.0.0.1", site.port)) as reader:
        slow.touch()
        reader.sendall(f"GET /{site.token}/ HTTP/1.0\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
        assert eventually(asked_it.exists)
        os.killpg(site.process.pid, signal.SIGINT)
        _, err = site.process.communicate(timeout=patient(5))
        assert (site.process.returncode, err) == (130, b"")


def test_the_browser_is_given_a_file_that_only_its_user_can_read(asked: Repo, tmp_path: Path) -> None:
    """The words of a process are there for everybody on the machine to see: they must not hold the secret.

    The browser here is one of the terminal: it shows the page before it comes back.
    """
    seen, shown, program = tmp_path / "seen", tmp_path / "shown", tmp_path / "browser"
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import os, re, sys, urllib.request\n"
        "file = sys.argv[1].removeprefix('file://')\n"
        "url = re.search('url=([^\"]*)', open(file).read())[1]\n"
        f"open({str(shown)!r}, 'wb').write(urllib.request.urlopen(url).read())\n"
        f"open({str(seen) + '.new'!r}, 'w').write(sys.argv[1])\n"
        f"os.rename({str(seen) + '.new'!r}, {str(seen)!r})\n"
    )
    program.chmod(0o755)
    process = asked.start("web", "--open", "--json", env={"BROWSER": f"{program} %s"})
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["data"]["url"]
        assert eventually(seen.exists)
        given = seen.read_text()
        page = asked.path / ".git" / "relay" / given.rpartition("/")[2]
        assert given == page.as_uri() and url.rstrip("/").rpartition("/")[2] not in given
        assert url in page.read_text() and page.stat().st_mode & 0o777 == 0o600
        assert "first" in shown.read_text()
    finally:
        process.terminate()
        process.communicate(timeout=patient(10))
    assert not page.exists()


def test_wrong_words(repo: Repo) -> None:
    with served(repo) as site:
        assert "0 sessions, 0 exchanges" in site.get().body
        taken = repo.relay("web", "--port", str(site.port))
        assert taken.code == 2 and f"port {site.port}" in taken.err and taken.err.count("\n") == 1
    wrong = repo.relay("web", "--port", "70000")
    assert wrong.code == 2 and "70000" in wrong.err


def test_a_bare_repository_is_served(asked: Repo) -> None:
    asked.sh("git clone -q --mirror . ../bare.git")
    with served(Repo(asked.path.parent / "bare.git", asked.env)) as site:
        assert "first" in site.get().body and site.get("sessions/first.html").status == 200
