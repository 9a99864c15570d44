"""What a tool gives back: structured, and as text for the model. No I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

BODY_MAX: Final = 40_000  # characters of a body in one result; hosts cut or refuse results of more than 25,000 tokens
_FILES_MAX: Final = 200
_SESSIONS_MAX: Final = 100
_DIFFERS: Final = {"A": "added", "D": "deleted", "M": "changed", "T": "changed"}


def of_exchange(
    row: Mapping[str, Any], files: Sequence[Mapping[str, Any]], notes: Sequence[str] = (), offset: int = 0
) -> dict[str, Any]:
    """An exchange, as the verbs give it with --json, as the structured content of a result."""
    whole = row.get("body")
    body = None if whole is None else whole[offset : offset + BODY_MAX]
    value = {
        "address": row["address"],
        "session": row["session"],
        "outcome": row["outcome"],
        "status": row["status"],
        "verify": row["verify"],
        "reason": row["reason"],
        "body": body,
        "body_cut": whole is not None and offset + BODY_MAX < len(whole),
        "question": row["question"],
        "options": row["options"],
        "checks": [{"command": c["command"], "result": c["result"]} for c in row["checks"]],
        "changed_files": [
            {"path": f["path"], "state": _DIFFERS.get(f["state"], "changed")} for f in files[:_FILES_MAX]
        ],
        "changed_more": max(0, len(files) - _FILES_MAX),
        "workspace": row["workspace"],
        "access": row["access"],
        "notes": list(notes),
    }
    return {**value, "next": _next(value, row, offset)}


def _next(value: Mapping[str, Any], row: Mapping[str, Any], offset: int) -> str:
    address, session = value["address"], value["session"]
    if value["body_cut"]:
        return f'The body goes on: relay_show {{"address": "{address}", "offset": {offset + BODY_MAX}}}'
    if value["status"] == "pending":
        return f'The peer still works: relay_wait {{"address": "{address}"}}'
    if value["question"] is not None:
        return f'Answer the question: relay_answer {{"address": "{address}", "text": "..."}}'
    if value["status"] == "error":
        return "The body says what happened and what to do."
    again = f'relay_call {{"to": "{row["to"]}", "session": "{session}", "task": "..."}}'
    if value["outcome"] in ("fail", "check-failed"):
        return f"Not good yet. Ask for a correction in the same session: {again}"
    if value["changed_files"] and value["workspace"] == "isolated":
        return (
            f"The changes are in a copy of the files. 'git relay apply {address}' brings them in; without a shell, "
            "ask the person you work for to run it."
        )
    return f"If something is left, go on in the same session: {again}"


def text_of_exchange(value: Mapping[str, Any]) -> str:
    """The same in words."""
    facts = [str(value["outcome"])]
    if value["verify"] is not None:
        facts.append(f"verify: {value['verify']}")
    parts = [f"{value['address']}: {', '.join(facts)}"]
    if value["question"] is None and value["body"]:
        parts.append(value["body"])
    if value["question"] is not None:
        options = [f"{i}. {option}" for i, option in enumerate(value["options"], 1)]
        parts.append("\n".join([f"The peer asks: {value['question']}", *options]))
    if value["checks"]:
        parts.append("\n".join(f"check {c['result']}: {c['command']}" for c in value["checks"]))
    if value["changed_files"]:
        more = [f"and {value['changed_more']} more"] if value["changed_more"] else []
        files = [f"{f['state']}: {f['path']}" for f in value["changed_files"]]
        parts.append("\n".join(["Changed files:", *files, *more]))
    parts += [f"Note: {note}" for note in value["notes"]]
    return "\n\n".join([*parts, value["next"]])


def of_sessions(rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> dict[str, Any]:
    """The list of sessions, as `ls` gives it with --json, as the structured content of a result."""
    now = time.time()
    sessions = [
        {
            "session": row["session"],
            "address": _last(row),
            "turns": row["turns"],
            "from": row["from"],
            "to": row["to"],
            "outcome": row["outcome"],
            "archived": row["archived"],
            "age_s": max(0, int(now - row["last"])),
        }
        for row in rows[:_SESSIONS_MAX]
    ]
    first = sessions[0]["address"] if sessions else None
    next_ = f'relay_show {{"address": "{first}"}} shows the last one.' if first else "Nothing is recorded yet."
    return {"sessions": sessions, "more": max(0, len(rows) - _SESSIONS_MAX), "next": " ".join([*notes, next_])}


def _last(row: Mapping[str, Any]) -> str | None:
    """The address of a session's last exchange; a one-shot's first turn is its name alone."""
    session, turns = str(row["session"]), int(row["turns"])
    if not turns:
        return None
    return session if turns == 1 and session[:8].isdigit() and session[8:9] == "-" else f"{session}/{turns:02d}"


def text_of_sessions(value: Mapping[str, Any]) -> str:
    """The same in words, a line each."""
    lines = [
        f"{s['address'] or s['session']}: {s['from']} -> {s['to']}, {s['outcome']}, {s['age_s']} s ago"
        + (" (archived)" if s["archived"] else "")
        for s in value["sessions"]
    ]
    more = [f"and {value['more']} older ones"] if value["more"] else []
    return "\n".join([*lines, *more, value["next"]])
