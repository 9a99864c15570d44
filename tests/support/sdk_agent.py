"""An agent written with the official Python SDK of the protocol: `python sdk_agent.py`. It asks for permission to edit,
says whether it may, and knows its conversations. Needs `agent-client-protocol`.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from typing import Any

acp: Any = importlib.import_module("acp")  # not there on every machine
schema = acp.schema


class Agent:
    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **kwargs: Any) -> Any:
        return schema.InitializeResponse(
            protocol_version=acp.PROTOCOL_VERSION,
            agent_capabilities=schema.AgentCapabilities(load_session=True),
            agent_info=schema.Implementation(name="sdk", version="0.1.0"),
        )

    async def new_session(self, cwd: str, **kwargs: Any) -> Any:
        return schema.NewSessionResponse(session_id="sdk-1", modes=self.modes())

    async def load_session(self, cwd: str, session_id: str, **kwargs: Any) -> Any:
        await self.client.session_update(session_id, acp.update_agent_message_text("old words"))
        return schema.LoadSessionResponse(modes=self.modes())

    async def set_session_mode(self, session_id: str, mode_id: str, **kwargs: Any) -> Any:
        return schema.SetSessionModeResponse()

    def modes(self) -> Any:
        every = [schema.SessionMode(id=name, name=name) for name in ("look", "work")]
        return schema.SessionModeState(current_mode_id="work", available_modes=every)

    async def prompt(self, session_id: str, prompt: list[Any], **kwargs: Any) -> Any:
        found = re.search(r"relay: \d+\n\s*re: (\S+)\n\s*from: (\S+)\n\s*to: (\S+)\n", prompt[0].text)
        assert found is not None
        call = schema.ToolCallUpdate(
            tool_call_id="t", kind="edit", title="Edit", locations=[schema.ToolCallLocation(path="app.py")]
        )
        options = [
            schema.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
            schema.PermissionOption(option_id="no", name="No", kind="reject_once"),
        ]
        asked = await self.client.request_permission(session_id=session_id, tool_call=call, options=options)
        head = f"---\nrelay: 4\nre: {found[1]}\nfrom: {found[2]}\nto: {found[3]}\nstatus: done\nverify: skip\n---\n"
        body = f"{head}\nI was told {getattr(asked.outcome, 'option_id', asked.outcome.outcome)}.\n"
        await self.client.session_update(session_id, acp.update_agent_message_text(body))
        return schema.PromptResponse(stop_reason="end_turn")


if __name__ == "__main__":
    asyncio.run(acp.run_agent(Agent()))
