"""A 20-turn session: the peer's own conversation resumed, against reading the history from files each turn.

    python benchmarks/continuation.py [TURNS] [codex] [claude]

Drives the real CLIs against the scripted model of the tests, without an account. Counted are model round trips
and the bytes of the requests that the CLI sends. Without continuation the model reads the session's files with one
command per turn, as the request's Context line asks; with it, it answers at once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from helping import helped

from support.model_server import Answer, ModelServer, Shell, Step
from support.realcli import claude_env, codex_env

TASK = "Turn {}: look at the parser again and say what you would change next, in two sentences or so."
ANSWER = "I would split the tokenizer from the parser, because each of them is tested on its own terms. " * 8


def session(peer: str, turns: int, *, native: bool) -> tuple[int, int]:
    """(model round trips, request bytes) of a whole session."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "repo"
        top.mkdir()
        steps: list[Step] = []
        for turn in range(turns):
            if turn and not native:
                # codex returns at most about 10,000 tokens of a command's output; the history stays below that
                steps.append(Shell("cat .relay/s/*.md"))
            steps.append(Answer(body=ANSWER))
        with ModelServer(steps) as model:
            env = {"codex": codex_env, "claude": claude_env}[peer](Path(folder) / "home", model.url)
            env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
            git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid"]
            subprocess.run([*git, "init", "-q"], cwd=top, check=True, env=env)
            subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=top, check=True, env=env)
            subprocess.run(["git", "config", f"relay.{peer}.resume", str(native).lower()], cwd=top, check=True, env=env)
            for turn in range(turns):
                words = ["git-relay", "req", "--from", "bench", "--to", peer, "--session", "s", TASK.format(turn + 1)]
                subprocess.run(words, cwd=top, env=env, check=True, capture_output=True, timeout=120)
            return model.model_calls, sum(request.size for request in model.requests if request.main)


def main() -> None:
    words = sys.argv[1:]
    turns = int(words.pop(0)) if words and words[0].isdigit() else 20
    for peer in words or ["codex", "claude"]:
        native, files = (session(peer, turns, native=native) for native in (True, False))
        print(
            f"{peer}, {turns} turns: native {native[0]} round trips, {native[1] / 1e6:.2f} MB sent; "
            f"from files {files[0]} round trips, {files[1] / 1e6:.2f} MB sent; "
            f"ratio {files[0] / native[0]:.2f} round trips, {files[1] / native[1]:.2f} bytes"
        )


if __name__ == "__main__":
    helped(__doc__)
    main()
