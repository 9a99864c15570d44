"""Agents that stay for the next turn: a real agent process by the scripted one, and everything that ends it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from gitrelay.process import kept
from support.realcalls import trailers
from support.repo import Done, Repo
from support.waiting import eventually

AGENT = Path(__file__).parents[1] / "support/fake_agent.py"
pytestmark = pytest.mark.skipif(not kept.can_keep(), reason="agents are kept on Linux only")


class Bench:
    def __init__(self, repo: Repo, mark: dict[str, str], saw: Path) -> None:
        self.repo, self._mark, self._saw = repo, mark, saw
        self.line = shlex.join([sys.executable, "-P", str(AGENT)])
        self.socket = repo.path / ".git/relay/kept" / kept.name_of("s", "agent")
        repo.git("config", "relay.agent.keep", "10m")
        repo.git("config", "relay.agent.readMode", "look")

    def ask(self, *words: str, mode: str = "good", code: int = 0, **env: str) -> Done:
        self.repo.git("config", "relay.agent.acp", f"{self.line} {mode}")
        env = {**self._mark, "FAKE_AGENT_SAW": str(self._saw), **env}
        done = self.repo.relay("req", "--to", "agent", "--session", "s", *words, "Look.", env=env, timeout=120)
        assert done.code == code, f"{done.out}\n{done.err}"
        return done

    def methods(self) -> list[str]:
        """What the agents were sent since the last look."""
        found = [json.loads(line)["method"] for line in self._saw.read_text().splitlines()]
        self._saw.write_text("")
        return found

    def processes(self, what: str) -> list[psutil.Process]:
        (value,) = self._mark.values()
        found = []
        for process in psutil.process_iter():
            try:
                if what not in " ".join(process.cmdline()) or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get("GITRELAY_TEST_MARK") == value:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def agents(self) -> list[int]:
        return [process.pid for process in self.processes("fake_agent.py")]

    def none_left(self) -> bool:
        return eventually(lambda: not self.agents() and not self.processes("gitrelay.process.keeper"))


WARM = ["session/prompt"]
COLD = ["initialize", "session/load", "session/prompt"]


@pytest.fixture
def bench(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Any:
    """At the end nothing may be left: the fixture `mark` looks."""
    made = Bench(repo, mark, tmp_path / "saw")
    made.ask()
    assert made.methods() == ["initialize", "session/new", "session/prompt"]
    yield made
    kept.end(str(made.socket))


def test_the_second_turn_uses_the_same_process_and_close_ends_it(bench: Bench) -> None:
    (agent,) = bench.agents()
    assert os.stat(bench.socket.parent).st_mode & 0o777 == 0o700
    done = bench.ask()
    assert "It is fine." in done.out
    assert bench.methods() == WARM
    assert bench.agents() == [agent]
    record = trailers(bench.repo)
    assert (record["Relay-Continuation"], record["Relay-Peer-Session"]) == ("native", "ses-1")
    assert record["Relay-Peer"].endswith(" 1.2.3")
    assert bench.repo.relay("close", "s").code == 0
    assert bench.none_left()


@pytest.mark.parametrize("what", ["fake_agent.py", "gitrelay.process.keeper"])
def test_a_kill_between_two_turns_costs_nothing_but_the_time(bench: Bench, what: str) -> None:
    for process in bench.processes(what):
        process.send_signal(signal.SIGKILL)
    assert bench.none_left()
    bench.ask()
    assert bench.methods() == COLD
    assert trailers(bench.repo)["Relay-Continuation"] == "native"


def test_what_differs_gets_an_agent_of_its_own(bench: Bench) -> None:
    """Access, environment, words: and what was kept before is gone."""
    before = bench.agents()
    bench.ask("--access=read", "--shared")
    assert bench.methods() == ["initialize", "session/load", "session/set_mode", "session/prompt"]
    assert not set(before) & set(reading := bench.agents()) and len(reading) == 1
    bench.ask("--access=read", "--shared")
    assert bench.methods() == ["session/set_mode", "session/prompt"], "its mode is set again"
    assert bench.agents() == reading
    bench.ask()
    assert bench.methods() == COLD
    bench.ask(SOMETHING="else")
    assert bench.methods() == COLD
    bench.ask(mode="glued", SOMETHING="else")
    assert bench.methods() == COLD
    assert len(bench.agents()) == 1


def test_cancel_and_a_limit_end_it(bench: Bench) -> None:
    bench.ask("-d", mode="runs")
    assert eventually(lambda: "session/prompt" in bench._saw.read_text())
    assert bench.repo.relay("cancel", "s/02").code in (0, 4)
    assert trailers(bench.repo)["Relay-Reason"] == "cancelled"
    assert bench.none_left()
    bench.ask("--timeout=2s", mode="endless", code=5)
    assert bench.none_left()


def test_it_ends_when_it_was_idle_for_long_enough(bench: Bench) -> None:
    kept.end(str(bench.socket))
    bench.repo.git("config", "relay.agent.keep", "300ms")
    bench.ask()
    assert bench.none_left()
    assert not os.path.lexists(bench.socket)


@pytest.mark.parametrize("what", ["link", "file", "folder"])
def test_what_somebody_has_put_in_its_place_is_not_used(bench: Bench, tmp_path: Path, what: str) -> None:
    kept.end(str(bench.socket))
    if what == "link":
        (tmp_path / "target").write_text("mine")
        bench.socket.symlink_to(tmp_path / "target")
    elif what == "file":
        bench.socket.write_text("mine")
    else:
        bench.socket.parent.chmod(0o777)
    bench.ask()
    assert bench.methods() == COLD
    assert bench.none_left(), "nothing was kept"
    if what != "folder":
        assert bench.socket.read_text() == "mine"
