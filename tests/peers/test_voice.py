"""What a program says in its own name is told from what a model says about such words."""

from __future__ import annotations

import pytest

from gitrelay.peers.voice import own_words, reason_of_status, reset_of, with_times


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("You've hit your limit · resets 1am (Europe/Oslo)", "quota"),
        ("You\u2019ve hit your session limit · resets 3:10pm", "quota"),
        ("You've reached your weekly limit. Resets Oct 9, 4pm.", "quota"),
        ("You have exceeded your current quota, please check your plan and billing details.", "quota"),
        ("You've hit your usage limit. Upgrade to Plus to continue, or try again at 3:05 PM.", "quota"),
        ("Claude AI usage limit reached|1760000400", "quota"),
        ("Claude usage limit reached. Your limit will reset at 3pm (UTC).", "quota"),
        ("5-hour limit reached ∙ resets 3pm", "quota"),
        ("Opus weekly limit reached ∙ resets Oct 9, 5pm", "quota"),
        ("You're out of extra usage · resets 6pm", "quota"),
        ("Credit balance is too low", "quota"),
        ("You have exhausted your capacity on this model. Your quota will reset after 10h.", "quota"),
        ("API Error: 429 {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}", "quota"),
        ("[API Error: 429 Resource has been exhausted]", "quota"),
        ("API Error: Claude Code is unable to respond to this request, which appears to violate our Usage Policy "
         "(https://www.anthropic.com/legal/aup). Please double press esc to edit your last message.", "refused"),
        ("API Error: Output blocked by content filtering policy", "refused"),
        ("Invalid API key · Please run /login", "auth"),
        ("Not logged in · Please run /login", "auth"),
        ("OAuth token has expired. Please obtain a new token or refresh your existing token.", "auth"),
        ("Failed to authenticate. API Error: 401 invalid x-api-key", "auth"),
        ("API Error: 403 Forbidden", "auth"),
        ("API Error: 529 Overloaded", "peer-failed"),
        ("API Error (Connection error.)", "unavailable"),
        ("Error: Reached max turns (1)", "peer-failed"),
        ("Reached maximum number of turns (5)", "peer-failed"),
        ("Maximum number of turns reached", "peer-failed"),
        ("Prompt is too long", "peer-failed"),
        ("[Request interrupted by user for tool use]", "peer-failed"),
        ("No response requested.", "no-output"),
        ("(no content)", "no-output"),
    ],
)  # fmt: skip
def test_the_programs_own_words(words: str, reason: str) -> None:
    for text in (words, f"\n{words}\n", f"⚠️ {words}"):
        found = own_words(text)
        assert found is not None and found[0] == reason


@pytest.mark.parametrize(
    "words",
    [
        "You've hit the limit of what a regular expression can do here.",
        "The rate limit reached in test_limits.py is not reset: line 42 misses the call.",
        "Recursion limit reached in parser.py, so the loop has to go.",
        "API error handling is in client.py; it retries three times.",
        "The message is 'You've hit your limit · resets 1am', printed by cli.js.",
        "Print \"Credit balance is too low\" when the balance is 0.",
        "Invalid API key formats are rejected by validate(), which is right.",
        "Please log in the user first and then create the session; the order matters.",
        "Authentication fails for expired tokens, because the clock is read twice.",
        "1. API Error: 429 is retried.\n2. API Error: 401 is not.\n3. The limit resets.\n4. Fine.\n5. Done.",
        "Maximum turns of the screw: 7. The spring breaks at 8.",
        "Execution error paths are covered by test_errors.py.",
        "x" * 10_000,
        "",
    ],
)  # fmt: skip
def test_words_about_such_words(words: str) -> None:
    assert own_words(words) is None


def test_when_a_limit_ends_is_told() -> None:
    assert with_times("Claude AI usage limit reached|1760000400") == (
        "Claude AI usage limit reached, resets 2025-10-09 09:00 UTC"
    )
    assert reset_of({"status": "rejected", "resetsAt": 1760000400}) == "resets 2025-10-09 09:00 UTC"
    odds: tuple[object, ...] = (None, [], {}, {"resetsAt": None}, {"resetsAt": True}, {"resetsAt": 10**30})
    for odd in odds:
        assert reset_of(odd) == ""


@pytest.mark.parametrize(
    ("status", "words", "reason"),
    [
        (401, "", "auth"),
        (402, "", "quota"),
        (429, "slow down", "quota"),
        (500, "internal", "peer-failed"),
        (None, "Please set an Auth method in your settings.json or specify GEMINI_API_KEY", "auth"),
        (None, "Error: 429 Too Many Requests", "quota"),
        (None, "RESOURCE_EXHAUSTED", "quota"),
        (None, "HTTP 403: no", "auth"),
        (None, "connect ECONNREFUSED 127.0.0.1:42955", "unavailable"),
        (400, "invalid_prompt: your request was flagged as violating our usage policy", "refused"),
        (None, "listening on port 4290", "peer-failed"),
    ],
)
def test_the_reason_of_an_error(status: int | None, words: str, reason: str) -> None:
    assert reason_of_status(status, words) == reason
