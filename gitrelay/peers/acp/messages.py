"""What the messages of an agent say: errors, modes, options, and each as a short line. Of unknown shape, all of it."""

from __future__ import annotations

import json
from typing import Any, Final

from gitrelay.peers import voice
from gitrelay.peers.events import count_of, text_of

_LOGIN: Final = -32000
STOPS: Final = {
    "max_tokens": ("bad-output", "the model's answer was cut off at its output limit"),
    "max_turn_requests": ("peer-failed", "the maximum number of model requests was reached"),
    "refusal": ("refused", "the agent refused the request"),
}
Request = tuple[str, dict[str, Any]]  # method and parameters


def error_of(error: dict[str, Any]) -> tuple[str, str]:
    """(reason, words) for a JSON-RPC error; what it says in `data` is often the only part that tells anything."""
    code = count_of(error, "code")
    words = text_of(error, "message") or "an error without words"
    data = error.get("data")
    more = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False) if data else ""
    said = f"{words}: {more}" if more and more not in words else words
    status = code if code is not None and 400 <= code < 600 else None
    reason = "auth" if code == _LOGIN else voice.reason_of_status(status, said)
    return reason, f"{said[:2000]} (code {code})" if code is not None else said[:2000]


def said_as_error(text: str) -> tuple[str, str] | None:
    """Some agents say an error as their answer; their words begin with it."""
    words = text.strip()
    if not words.startswith(("Error:", "error:")) or len(words) > 2000:
        return None
    return voice.reason_of_status(None, words), words


def is_mode(offered: str, wanted: str) -> bool:
    """A mode's id may be an address that ends with its name."""
    return offered == wanted or offered.rpartition("#")[2] == wanted


def offered(value: object, key: str, name: str) -> list[str]:
    items = value.get(key) if isinstance(value, dict) else None
    return [found for one in items if (found := text_of(one, name))] if isinstance(items, list) else []


def values(result: dict[str, Any], option: str) -> list[str]:
    """The values of a configuration option of the session, in groups or not."""
    options = result.get("configOptions")
    for one in options if isinstance(options, list) else []:
        if isinstance(one, dict) and one.get("id") == option:
            plain = offered(one, "options", "value")
            groups = one.get("options")
            inner = [value for group in groups for value in offered(group, "options", "value")] if groups else []
            return plain or inner
    return []


def resume_method(initialized: dict[str, Any]) -> str | None:
    """The method by which the agent continues a conversation, None if it cannot."""
    able = initialized.get("agentCapabilities")
    able = able if isinstance(able, dict) else {}
    sessions = able.get("sessionCapabilities")
    if isinstance(sessions, dict) and sessions.get("resume") is not None:
        return "session/resume"
    return "session/load" if able.get("loadSession") is True else None


def modes_of(result: dict[str, Any]) -> list[str]:
    """The modes that a session offers, by the one way of telling them or the other."""
    return offered(result.get("modes"), "availableModes", "id") or values(result, "mode")


def mode_request(result: dict[str, Any], session: str | None, mode: str) -> Request | None:
    """What sets the mode; None if the session does not offer it."""
    for one in offered(result.get("modes"), "availableModes", "id"):
        if is_mode(one, mode):
            return "session/set_mode", {"sessionId": session, "modeId": one}
    found = next((one for one in values(result, "mode") if is_mode(one, mode)), None)
    return _option(session, "mode", found) if found is not None else None


def model_request(result: dict[str, Any], session: str | None, model: str) -> Request:
    """What sets the model."""
    if values(result, "model"):
        return _option(session, "model", model)
    return "session/set_model", {"sessionId": session, "modelId": model}


def effort_request(result: dict[str, Any], session: str | None, effort: str) -> Request | None:
    """What sets the effort; None if the session has no such option."""
    name = next((one for one in ("effort", "thought_level", "reasoning_effort") if values(result, one)), None)
    return _option(session, name, effort) if name is not None else None


def _option(session: str | None, name: str, value: str) -> Request:
    return "session/set_config_option", {"sessionId": session, "configId": name, "value": value}


def options_of(schema: object) -> list[str]:
    """The answers to choose from that the schema of an elicitation names, of its first property that has any."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for one in properties.values() if isinstance(properties, dict) else []:
        for holder in (one, one.get("items") if isinstance(one, dict) else None):
            for key in ("oneOf", "anyOf"):
                choices = items_of(holder.get(key) if isinstance(holder, dict) else None)
                found = (
                    [text_of(c, "title") or text_of(c, "const") for c in choices] if isinstance(choices, list) else []
                )
                if any(found):
                    return [word for word in found if word]
            words = holder.get("enum") if isinstance(holder, dict) else None
            if isinstance(words, list) and words:
                return [word for word in words if isinstance(word, str)]
    return []


def items_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def describe(event: dict[str, Any]) -> str | None:
    """One message as a short line: a tool, words, an error; None for the rest."""
    params = event.get("params")
    update = params.get("update") if isinstance(params, dict) else None
    kind = text_of(update, "sessionUpdate")
    if kind == "agent_message_chunk":
        return f"says: {text_of(update, 'content', 'text') or ''}"
    if kind == "tool_call":
        return f"{text_of(update, 'kind') or 'tool'}: {text_of(update, 'title') or ''}"
    if event.get("method") == "session/request_permission":
        return f"asks for permission: {text_of(params, 'toolCall', 'title') or ''}"
    return text_of(event, "error", "message")
