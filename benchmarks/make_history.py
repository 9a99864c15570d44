"""A repository with a long history of sessions, made in seconds by `git fast-import`: the same bytes for the same seed.

    python benchmarks/make_history.py FOLDER [--sessions 500] [--exchanges 20] [--seed 1] [--words 0]

Each exchange is what a call leaves: a request, a response, the files that the peer changed, kept by the
session's code ref, and behind every third answer a check. Messages have lengths as agents write them: tasks of some
100 to 2,000 bytes, answers of some 200 to 6,000. Every tenth answer is one that gitrelay had to write; some report a
cost, some no usage at all. With `--words`, every third word is one of so many, few of them often, as names in code are.
A session in 25 is archived, one in 30 waits for its last answer.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.message import Request, Response, check_file

USER = "Uma User <uma@example.invalid>"
BEGIN = 1_790_000_000  # seconds since the epoch
MODELS = {  # peer -> the models it reports; whether it says what a call cost
    "claude": (("opus-9", "sonnet-9", "haiku-9"), True),
    "codex": (("large-5", "mini-5"), False),
    "gemini": (("pro-4", ""), False),
}
REASONS = ("timeout", "timeout", "quota", "peer-failed", "idle", "auth", "lost", "cancelled")
WORDS = """
the tests of `parser.py` fail where a header is empty escape user names in both queries add a case for CRLF
read src/auth.py first then run pytest -q to verify nothing else changed the lock is taken before the file is
opened so a crash leaves it behind I renamed `load` to `read` and kept the old name as an alias for one release
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--exchanges", type=int, default=20, help="in each session")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--words", type=int, default=0, help="different words beside the usual ones")
    given = parser.parse_args()
    make(given.folder, sessions=given.sessions, exchanges=given.exchanges, seed=given.seed, words=given.words)


class Chance(random.Random):
    """Chance, and the number of rare words that it may choose."""

    rare = 0


def make(folder: Path, *, sessions: int, exchanges: int, seed: int = 1, words: int = 0) -> None:
    """`git init` in `folder` and fill it."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    importer = subprocess.Popen(
        ["git", "-C", str(folder), "fast-import", "--quiet", "--date-format=raw"], stdin=subprocess.PIPE
    )
    assert importer.stdin is not None
    with importer.stdin as stream:
        for number in range(sessions):
            chance = Chance(f"{seed} {number}")
            chance.rare = words
            for piece in _session(number, exchanges, chance):
                stream.write(piece)
    if importer.wait():
        raise SystemExit("git fast-import failed")


def _session(number: int, exchanges: int, chance: Chance) -> Iterator[bytes]:
    name = f"{'-'.join(chance.sample(['auth', 'cache', 'docs', 'lock', 'parser', 'query'], 2))}-{number:04d}"
    place = "refs/relay/archive" if number % 25 == 24 else "refs/heads/relay"
    branch, code = f"{place}/{name}", f"refs/relay/code/{name}"
    caller, peer = chance.sample(["claude", "codex", "gemini"], 2)
    time = BEGIN + number * 3600
    yield _commit(branch, caller, time, f"open {name}", {"Relay-Version": "4"}, [f"Opened by {caller}."])
    for turn in range(1, exchanges + 1):
        request = Request(f"{turn:02d}", caller, peer, _text(chance, 100, 2000), name)
        first = request.task.splitlines()[0][:60].rstrip()
        before, after = f"before {turn} {name}\n".encode(), f"after {turn} {name}\n".encode()
        subject = f"req {request.id} {caller} -> {peer}: {first}"
        yield _code(code, time, subject, before)
        trailers = {"Relay-Id": request.id, "Relay-From": caller, "Relay-To": peer, "Relay-Head": "unborn"}
        own = {"Relay-Access": "write", "Relay-Tree": _tree(before)}
        yield _commit(branch, caller, time, subject, trailers | own) + _file(request.file, request.render())
        if number % 30 == 29 and turn == exchanges:
            return
        seconds = min(chance.lognormvariate(4.5, 1.1), 3600)
        time += int(seconds)
        response = _response(request, chance)
        subject = f"res {request.id} {peer} -> {caller}: {response.status}, verify {response.verify}"
        yield _code(code, time, subject, after)
        trailers = {
            "Relay-Id": request.id,
            "Relay-From": peer,
            "Relay-To": caller,
            "Relay-Status": response.status,
            "Relay-Verify": response.verify,
            **({"Relay-Reason": response.reason} if response.reason else {}),
            "Relay-Head": "unborn",
            "Relay-Recorded": "gitrelay" if response.reason else "peer",
            **_measured(peer, f"{name} {turn}", seconds, chance),
            "Relay-Tree": _tree(after),
        }
        yield _commit(branch, peer, time, subject, trailers) + _file(response.file, response.render())
        if response.status == "done" and chance.random() < 1 / 3:
            time += chance.randint(1, 60)
            yield _check(branch, time, response, _tree(after), chance)
        time += chance.randint(5, 900)


def _response(request: Request, chance: Chance) -> Response:
    answered = chance.random() >= 0.1
    return Response(
        re=request.id,
        from_=request.to,
        to=request.from_,
        status="done" if answered else "error",
        verify=chance.choice(["pass", "pass", "fail", "skip"]) if answered else "skip",
        body=_text(chance, 200, 6000),
        reason=None if answered else chance.choice(REASONS),
    )


def _measured(peer: str, seed: str, seconds: float, chance: Chance) -> dict[str, str]:
    """The trailers that say what the peer was and what it used, as far as it says."""
    models, priced = MODELS[peer]
    model = chance.choice(models)
    tokens = chance.randint(900, 90000)
    usage = f"input={tokens} cached={tokens * chance.randint(0, 9) // 10} output={chance.randint(90, 9000)}"
    trailers = {
        "Relay-Peer": f"{peer} 2.1.0",
        "Relay-Model": f"{peer}-{model}" if model else "",
        "Relay-Peer-Session": hashlib.md5(seed.encode()).hexdigest(),
        "Relay-Duration": f"{seconds:.1f}",
        "Relay-Usage": usage + (f" cost_usd={tokens * 3e-6:.6f}" if priced else "") if chance.random() < 0.9 else "",
    }
    return {key: value for key, value in trailers.items() if value}


def _check(branch: str, time: int, response: Response, tree: str, chance: Chance) -> bytes:
    """A check that mostly agrees with what the answer claims."""
    fails = chance.random() < (0.15 if response.verify == "pass" else 0.6)
    word = chance.choice(["fail (exit 1)", "fail (exit 1)", "timeout"]) if fails else "pass"
    result = CheckResult("pytest -q", word, chance.random() * 60, _text(chance, 50, 500))
    trailers = {"Relay-Id": response.re, "Relay-Check": f"{word}: {result.command}", "Relay-Tree": tree}
    subject = f"chk {response.re} {word}: {result.command}"
    return _commit(branch, "gitrelay", time, subject, trailers) + _file(
        check_file(response.re, 1), result.render(response.re, tree)
    )


def _text(chance: Chance, least: int, most: int) -> str:
    """Lines of words, few of them long: the length is spread evenly over its order of magnitude."""
    length = int(least * (most / least) ** chance.random())
    words = WORDS.split()
    lines, size = [], 0
    while size < length:
        chosen = chance.choices(words, k=chance.randint(4, 16))
        if chance.rare:
            chosen = [_rare(chance) if i % 3 == 2 else word for i, word in enumerate(chosen)]
        line = " ".join(chosen)
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)


def _rare(chance: Chance) -> str:
    """One of many words, the nth as often as 1/n."""
    number = int(chance.rare ** chance.random())
    word = ""
    for _ in range(3):
        number, syllable = divmod(number * 7919 + 13, 64)
        word += "bdfgklmnprstvwxz"[syllable % 16] + "aeiou"[syllable // 16] + "nrs"[number % 3]
    return f"{word}_{number % 1000}"


def _commit(
    ref: str, author: str, time: int, subject: str, trailers: Mapping[str, str], notes: list[str] | None = None
) -> bytes:
    paragraphs = [subject, *(notes or []), "\n".join(f"{key}: {value}" for key, value in trailers.items())]
    message = ("\n\n".join(paragraphs) + "\n").encode()
    return _head(ref, f"{author} <{author}@gitrelay.invalid>", time) + b"data %d\n%s\n" % (len(message), message)


def _code(ref: str, time: int, subject: str, content: bytes) -> bytes:
    message = subject.encode() + b"\n"
    head = _head(ref, "gitrelay <gitrelay@gitrelay.invalid>", time)
    return head + b"data %d\n%s\n" % (len(message), message) + _file("state.txt", content)


def _head(ref: str, author: str, time: int) -> bytes:
    return f"commit {ref}\nauthor {author} {time} +0000\ncommitter {USER} {time} +0000\n".encode()


def _file(name: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)


def _tree(content: bytes) -> str:
    """The id of the tree that holds `content` as state.txt."""
    blob = hashlib.sha1(b"blob %d\0%s" % (len(content), content)).digest()
    entry = b"100644 state.txt\0" + blob
    return hashlib.sha1(b"tree %d\0%s" % (len(entry), entry)).hexdigest()


if __name__ == "__main__":
    main()
