"""The official Python SDK of the Agent Client Protocol: its agents are understood, and why its client is not used.

Skips without the package `agent-client-protocol`.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from support.realcalls import trailers
from support.repo import Repo
from support.waiting import patient

acp: Any = pytest.importorskip("acp", reason="pip install agent-client-protocol, to try the official SDK")

SUPPORT = Path(__file__).parents[1] / "support"


def test_an_agent_written_with_it(repo: Repo, mark: dict[str, str]) -> None:
    """What gitrelay sends is valid to it: it checks each message. The second turn loads the session."""
    repo.git("config", "relay.sdk.acp", shlex.join([sys.executable, "-P", str(SUPPORT / "sdk_agent.py")]))
    repo.git("config", "relay.sdk.readMode", "look")
    for access, told, how in (("write", "yes", None), ("read", "no", "native")):
        words = ("req", "--to", "sdk", "--session", "s", f"--access={access}", "Look at app.py.")
        done = repo.relay(*words, env=mark)
        assert (done.code, done.out.splitlines()[-1]) == (0, f"I was told {told}."), done.out + done.err
        assert trailers(repo).get("Relay-Continuation") == how
        assert trailers(repo)["Relay-Peer"].endswith(" 0.1.0")


def test_its_client_has_an_error_for_all_that_it_does_not_know(caplog: pytest.LogCaptureFixture) -> None:
    """An update of a vendor's own, and noise on stdout, are a traceback each; gitrelay's client skips and keeps them.

    It goes on, so this is one reason of two. The other is the time of its import, which no test can hold it to.
    """
    updates: list[Any] = []

    async def update(self: Any, **kwargs: Any) -> None:
        updates.append(kwargs["update"])

    client = type("Client", (acp.Client,), {"session_update": update})

    async def ask() -> Any:
        words = (sys.executable, str(SUPPORT / "fake_agent.py"), "noise")
        async with acp.spawn_agent_process(client(), *words) as (agent, _):
            await agent.initialize(protocol_version=1)
            session = (await agent.new_session(cwd="/", mcp_servers=[])).session_id
            prompt = [acp.text_block("relay: 4\nre: 01\nfrom: agent\nto: uma\n")]
            return await asyncio.wait_for(agent.prompt(session_id=session, prompt=prompt), patient(30))

    assert asyncio.run(ask()).stop_reason == "end_turn"
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert any("session/update" in error for error in errors), errors
    assert len(errors) >= 3, "two lines of noise, one update"
