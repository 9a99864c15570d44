"""An agent that speaks the Agent Client Protocol on stdio, and goes wrong in every way we know, each under a name:
`python fake_agent.py MODE`. Standard library only.

Every message that it gets is appended to the file FAKE_AGENT_SAW, one JSON a line. A mode `dies-at-METHOD` ends with
exit code 7 when it gets that request; all other modes end when their stdin is closed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import Any

Json = dict[str, Any]
MODES = [{"id": "look", "name": "Look"}, {"id": "work", "name": "Work"}]
_FOREVER = 600.0


class Agent:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.session = "ses-1"
        self.access = ""  # the mode id it was set to
        self.turns = 0
        self.asked = 0

    # -- wire --------------------------------------------------------------------------------------

    def put(self, message: Json) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def update(self, **update: Any) -> None:
        self.put({"method": "session/update", "params": {"sessionId": self.session, "update": update}})

    def say(self, text: str, message: str | None = "m1") -> None:
        more = {} if message is None else {"messageId": message}
        self.update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text}, **more)

    def read(self) -> Json | None:
        line = sys.stdin.readline()
        if not line:
            return None
        message: Json = json.loads(line)
        if path := os.environ.get("FAKE_AGENT_SAW"):
            with open(path, "a", encoding="utf-8") as f:
                f.write(line)
        return message

    def call(self, method: str, params: Json) -> Json:
        """A request to the client; its response. A cancellation that comes meanwhile is kept in `cancelled`."""
        self.asked += 1
        id_ = f"a{self.asked}"
        self.put({"id": id_, "method": method, "params": params})
        while True:
            message = self.read()
            if message is None:
                sys.exit(0)
            if message.get("method") == "session/cancel":
                continue
            if message.get("id") == id_:
                return message

    def permission(self, kind: str, **tool: Any) -> bool:
        options = [
            {"optionId": "always", "kind": "allow_always", "name": "Always"},
            {"optionId": "yes", "kind": "allow_once", "name": "Yes"},
            {"optionId": "no", "kind": "reject_once", "name": "No"},
        ]
        call = {"toolCallId": "t", "title": f"a {kind}", "kind": kind, **tool}
        params = {"sessionId": self.session, "toolCall": call, "options": options}
        outcome = self.call("session/request_permission", params)["result"]["outcome"]
        return bool(outcome.get("optionId") == "yes")

    # -- the protocol ------------------------------------------------------------------------------

    def serve(self) -> None:
        if self.mode == "noise":
            print(
                'Loading model...\n\x1b[33mwarn\x1b[0m {"half": \n{"jsonrpc": "2.0", "id": 99, "result": {}}',
                flush=True,
            )
        if self.mode == "floods-stdout":
            while True:
                sys.stdout.write("x" * 65536 + "\n")
        while (message := self.read()) is not None:
            method, id_, params = message.get("method"), message.get("id"), message.get("params") or {}
            if self.mode == f"dies-at-{method}":
                print("I am out of here", file=sys.stderr, flush=True)
                os._exit(7)
            if id_ is None or not isinstance(method, str):
                continue
            result = self.answer(method, params)
            if result is None:
                continue
            self.put({"id": id_, **result})
        if self.mode == "stays":
            time.sleep(_FOREVER)

    def answer(self, method: str, params: Json) -> Json | None:
        """The response as {result} or {error}; None for none."""
        if method == "initialize":
            version = 2 if self.mode == "v2-only" else 1
            able = {"loadSession": True} if self.mode != "forgets" else {}
            return {"result": {"protocolVersion": version, "agentCapabilities": able, **self.info()}}
        if method == "session/new":
            if self.mode == "wants-login":
                return {"error": {"code": -32000, "message": "Authentication required"}}
            if self.mode == "no-session":
                return {"result": {}}
            return {"result": {"sessionId": self.session, **self.modes()}}
        if method == "session/load":
            if self.mode == "loses-sessions":
                return {"error": {"code": -32603, "message": "Internal error", "data": {"details": "no such thing"}}}
            self.session = params["sessionId"]
            self.say("old words that are played again")
            return {"result": self.modes()}
        if method == "session/set_mode":
            self.access = params["modeId"]
            return {"result": {}}
        if method == "session/prompt":
            return self.prompt(params["prompt"][0]["text"])
        return {"error": {"code": -32601, "message": f"unknown: {method}"}}

    def info(self) -> Json:
        return {"agentInfo": {"name": "fake", "version": "1.2.3"}, "authMethods": []}

    def modes(self) -> Json:
        return {} if self.mode == "no-modes" else {"modes": {"currentModeId": "work", "availableModes": MODES}}

    # -- a turn ------------------------------------------------------------------------------------

    def prompt(self, text: str) -> Json | None:
        self.turns += 1
        self.text = text
        found = re.search(r"relay: \d+\n\s*re: (\S+)\n\s*from: (\S+)\n\s*to: (\S+)\n", text)
        if found is not None:
            self.fields = f"relay: 4\nre: {found[1]}\nfrom: {found[2]}\nto: {found[3]}\n"
        self.update(sessionUpdate="vendor_thing", whatever=1)
        self.put({"method": "_vendor/notify", "params": {"x": 1}})
        turn = getattr(self, "turn_" + self.mode.replace("-", "_"), self.turn_good)
        stop = turn()
        if stop is None:
            return None
        usage = {"inputTokens": 10, "cachedReadTokens": 5, "outputTokens": 3, "totalTokens": 18}
        return {"result": {"stopReason": stop, "usage": usage}}

    def response(self, body: str = "It is fine.", verify: str = "skip") -> str:
        return f"---\n{self.fields}status: done\nverify: {verify}\n---\n\n{body}\n"

    def turn_good(self) -> str:
        self.say("Let me look.", "m0")
        self.update(sessionUpdate="tool_call", toolCallId="t", title="Read app.py", kind="read")
        whole = self.response()
        self.say(whole[:20])
        self.say(whole[20:])
        return "end_turn"

    def turn_notices(self) -> str:
        self.say("Warning: model metadata not found", None)
        self.say(self.response())
        self.say("\n\n**Warning:** We're changing auto mode", None)
        self.say("Tip: there is a newer version.", "m9")
        return "end_turn"

    def turn_glued(self) -> str:
        """As copilot: a line of its own while a tool runs, and then the answer, in no message and without a newline."""
        self.update(sessionUpdate="tool_call", toolCallId="t", title="Read app.py", kind="read")
        self.say("Info: app.py", None)
        self.update(sessionUpdate="tool_call_update", toolCallId="t", status="completed")
        whole = self.response("It is fine.")
        self.say(whole[:50], None)
        self.update(sessionUpdate="tool_call_update", toolCallId="t", status="completed")
        self.say(whole[50:], None)
        return "end_turn"

    def turn_only_notices(self) -> str:
        self.say("Info: nothing to do", None)
        return "end_turn"

    def turn_error_as_text(self) -> str:
        self.say("Error: 401 Unauthorized: your key is wrong", None)
        return "end_turn"

    def turn_contradicts(self) -> str:
        self.say(self.response(verify="pass"), "m1")
        self.say(self.response(verify="fail"), "m2")
        return "end_turn"

    def turn_other_request(self) -> str:
        self.say(self.response().replace("re: ", "re: 9"))
        return "end_turn"

    def turn_cut(self) -> str:
        self.say(self.response())
        return "max_tokens"

    def turn_refuses(self) -> str:
        return "refusal"

    def turn_endless(self) -> None:
        """No answer to the prompt, ever; it goes on thinking."""
        while True:
            self.update(sessionUpdate="agent_thought_chunk", content={"type": "text", "text": "hm"})
            time.sleep(0.05)

    def turn_endless_words(self) -> None:
        while True:
            self.say("x" * 1_000_000)

    def turn_permission_flood(self) -> str:
        while True:
            self.permission("edit", locations=[{"path": "app.py"}])

    def turn_request_flood(self) -> str:
        while True:
            self.call("fs/read_text_file", {"sessionId": self.session, "path": "/etc/passwd"})

    def turn_fs(self) -> str:
        asked = [
            self.call("fs/read_text_file", {"sessionId": self.session, "path": "/etc/passwd"}),
            self.call("terminal/create", {"sessionId": self.session, "command": "sh"}),
        ]
        self.say(self.response(" ".join(str(answer["error"]["code"]) for answer in asked)))
        return "end_turn"

    def turn_asks(self) -> str:
        """Permission for a list of things; the response says which were granted."""
        cwd, given = os.getcwd(), []
        wishes: list[tuple[str, str, Json]] = [
            ("look", "read", {"locations": [{"path": f"{cwd}/app.py"}]}),
            ("run-as-read", "read", {"rawInput": {"command": "touch x"}}),
            ("edit", "edit", {"locations": [{"path": f"{cwd}/app.py"}]}),
            ("edit-outside", "edit", {"content": [{"type": "diff", "path": "/etc/passwd", "newText": ""}]}),
            ("edit-up", "edit", {"rawInput": {"file_path": "../elsewhere"}}),
            ("edit-git", "edit", {"locations": [{"path": ".git/config"}]}),
            ("run", "execute", {"rawInput": {"command": "make"}}),
            ("run-outside", "execute", {"rawInput": {"command": "make", "cwd": "/"}}),
            ("switch", "switch_mode", {}),
        ]
        for name, kind, tool in wishes:
            if self.permission(kind, **tool):
                given.append(name)
        self.say(self.response(" ".join(given) or "none"))
        return "end_turn"

    def turn_refusal_ends(self) -> str:
        """As codex-acp: a refused edit ends the turn, without words."""
        if self.turns == 1:
            return "end_turn" if self.permission("edit") else "cancelled"
        self.say(self.response(f"again: {self.text[:31]}"))
        return "end_turn"

    def turn_always_cancelled(self) -> str:
        self.permission("edit")
        return "cancelled"

    def turn_lies(self) -> str:
        """Says yes to the mode that only looks, and writes all the same."""
        with open("forbidden.txt", "w", encoding="utf-8") as f:
            f.write(self.access)
        self.say(self.response("I looked."))
        return "end_turn"

    def turn_leaves_mode(self) -> None:
        self.update(sessionUpdate="current_mode_update", currentModeId="work")
        time.sleep(_FOREVER)

    def turn_elicits(self) -> str:
        choices = {"oneOf": [{"const": "pg", "title": "Postgres"}, {"const": "my", "title": "MySQL"}]}
        schema = {"type": "object", "properties": {"question_0": {"type": "string", **choices}}}
        params = {"sessionId": self.session, "mode": "form", "message": "Which database?", "requestedSchema": schema}
        self.call("elicitation/create", params)
        return "cancelled"

    def turn_runs(self) -> None:
        subprocess.Popen(["sleep", "300"])
        self.update(sessionUpdate="tool_call", toolCallId="t", title="sleep", kind="execute")
        while (message := self.read()) is not None:
            if message.get("method") == "session/cancel":
                time.sleep(_FOREVER)

    def turn_conformant(self) -> str:
        """Does what `peers test` asks for, as far as it is allowed to."""
        if "forbidden.txt" in self.text and self.permission("edit", locations=[{"path": "forbidden.txt"}]):
            open("forbidden.txt", "w", encoding="utf-8").close()
        elif "written.txt" in self.text and self.permission("edit", locations=[{"path": "written.txt"}]):
            with open("written.txt", "w", encoding="utf-8") as f:
                f.write("written\n")
        elif "begun.txt" in self.text and self.permission("execute", rawInput={"command": "touch begun.txt"}):
            subprocess.run(["sh", "-c", "touch begun.txt; sh -c 'sleep 300; true'"])
        return self.turn_good()

    turn_conformant_but_lies = turn_lies


if __name__ == "__main__":
    Agent(sys.argv[1]).serve()
