"""Secrets are taken out before git or a log holds them; what only looks like one stays as it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitrelay.calls.outcome import Outcome
from gitrelay.ledger.redaction import redacted_request, redacted_response
from gitrelay.process.capture import Capture, first_part, last_part
from gitrelay.process.log import Log
from gitrelay.protocol.message import Request, Response, parse_request, parse_response
from gitrelay.redact import OVERLAP, BadPattern, Redactor, named, rules, table, verdict
from support.ledgercheck import assert_all_valid
from support.redact_corpus import Secret, armour, look_alikes, secrets, some
from support.repo import Done, Repo
from support.soak import rounds

SECRETS = secrets()
LOOK_ALIKES = look_alikes()
TOKEN = next(s.secret for s in SECRETS if s.kind == "github personal")
PASSWORD = next(s.secret for s in SECRETS if s.kind == "env")
KEY = armour("RSA PRIVATE KEY")
GLUE = ["password=", "token: ", "://a:", "@b", "[redacted:", "]", '"', "\\n", "\n", "-----"]
PARTS = st.sampled_from([*(s.text for s in SECRETS), *LOOK_ALIKES, *GLUE])


def redact(text: str, *patterns: str) -> str:
    return Redactor(patterns).redact(text).text


def alarms(text: str) -> list[str]:
    """Each false alarm in an innocent text, with the rule that raised it."""
    return [f"{s.rule}, {s.why or 'its form'}: {text[s.start : s.end]!r} in {text!r}" for s in Redactor().find(text)]


# -- what is found, and what is not ----------------------------------------------------------------


def test_the_rates_over_the_corpus(record_property: Callable[[str, object], None]) -> None:
    missed = [s.kind for s in SECRETS if s.secret in redact(s.text)]
    wrong = [why for text in LOOK_ALIKES for why in alarms(text)]
    record_property(
        "printed",
        f"redaction: hit rate {100 * (1 - len(missed) / len(SECRETS)):.1f} % of {len(SECRETS)} secrets, "
        f"false-alarm rate {100 * len(wrong) / len(LOOK_ALIKES):.1f} % of {len(LOOK_ALIKES)} look-alikes",
    )
    assert len(SECRETS) >= 60 and len({s.kind for s in SECRETS}) == len(SECRETS)
    assert len(LOOK_ALIKES) >= 600 and len(set(LOOK_ALIKES)) == len(LOOK_ALIKES)
    assert wrong == []
    assert missed == []


@pytest.mark.parametrize("secret", SECRETS, ids=lambda s: s.kind)
def test_only_the_secret_is_replaced(secret: Secret) -> None:
    found = Redactor().redact(secret.text)
    before, _, after = secret.text.partition(secret.secret)
    assert found.text.startswith(before[:-20]) and found.text.endswith(after[20:])
    assert found.total >= 1 and set(found.counts) <= rules()
    half = secret.secret[len(secret.secret) // 2 :]
    assert half not in found.text and secret.secret[: len(half)] not in found.text


def test_a_span_names_the_rule_that_decided() -> None:
    (span,) = Redactor().find("DB_PASSWORD=correct-horse-battery")
    assert (span.rule, span.why) == ("password", "chosen-words")
    assert alarms('password = "thundercloud"') == [
        "password, quoted-word: 'thundercloud' in 'password = \"thundercloud\"'"
    ]
    assert (
        decided := verdict.verdict(verdict.Value("os.environ", env=True))
    ) is not None and decided.name == "joined-words"


def test_every_rule_about_values_decides_something(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = set()

    def decide(rules: Sequence[table.Rule[Any]], candidate: object) -> table.Rule[Any] | None:
        rule = table.decide(rules, candidate)
        decided.add(rule.name if rule else "")
        return rule

    monkeypatch.setattr(verdict, "decide", decide)
    monkeypatch.setattr(named, "decide", decide)
    for text in (*(s.text for s in SECRETS), *LOOK_ALIKES):
        redact(text)
    names = {rule.name for rule in verdict.RULES} | {rule.name for rule in named.NAME_RULES}
    assert names - decided == set()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"GITHUB_TOKEN={TOKEN}", "github-token"),  # the provider's name tells more than `secret`
        (f"https://me:{TOKEN}@git.invalid", "github-token"),
        (f"DB_PASSWORD={PASSWORD}", "password"),
        (f"API_SECRET={some('abcdef0123456789', 32)}", "secret"),
        (KEY, "private-key"),
    ],
)
def test_a_span_has_the_name_of_the_rule_that_tells_most(text: str, rule: str) -> None:
    assert Redactor().redact(text).counts == {rule: 1}


def test_the_users_own_patterns_are_redacted_too() -> None:
    redactor = Redactor(["PRJ-[0-9]{4}", "pin (?P<secret>[0-9]+)"])
    found = redactor.redact("see PRJ-1234 with pin 99, and PRJ-12")
    assert found.text == "see [redacted:custom] with pin [redacted:custom], and PRJ-12"
    assert found.counts == {"custom": 2}
    assert redact("aab", "a*") == "[redacted:custom]b"  # an empty match is none
    with pytest.raises(BadPattern) as caught:
        Redactor(["fine", "("])
    assert caught.value.pattern == "(" and "unterminated" in caught.value.why


@pytest.mark.parametrize(
    "text",
    [
        'args = ["mysql", "-p"], "name"',
        'FLAGS = (("7z", "unrar"), ("-p", "-hp"), "")',
        "ssh -p 2222 web1 docker ps -p; mkdir -p hunter2/out; cp -p hunter2 out; python -m http.server -p hunter2",
        "mysqldump shop | ssh web1 -p hunter2",  # the option of another command
        "sshpass -e scp -p hunter2 web1:",
        "docker run -p hunter2 nginx",
    ],
)
def test_an_option_of_another_program_takes_no_password(text: str) -> None:
    assert alarms(text) == []


@settings(max_examples=rounds(100, 5000))
@given(st.lists(PARTS, max_size=6).map("".join), st.sampled_from([(), ("red",), (r"\w+",), ("custom",)]))
def test_what_is_redacted_is_not_redacted_again(text: str, patterns: tuple[str, ...]) -> None:
    redactor = Redactor(patterns)
    once = redactor.redact(text).text
    again = redactor.redact(once)
    assert again.text == once and again.total == 0


def test_no_secret_hides_behind_a_mark_that_no_rule_makes() -> None:
    token = next(s.secret for s in SECRETS if s.kind == "databricks")
    assert token not in redact(f"[redacted:{token}]")
    assert TOKEN not in redact(f"[redacted:secret]{TOKEN}[redacted:]")


def test_structure_stays() -> None:
    data = Response(
        "01", "codex", "claude", "done", "pass", f"Found\n\n```env\nA=1\nTOKEN={TOKEN}\n```\n\n{KEY}\n\nend"
    )
    _, file, _ = redacted_response(Redactor(), data)
    assert parse_response(file).body == (
        "Found\n\n```env\nA=1\nTOKEN=[redacted:github-token]\n```\n\n[redacted:private-key]\n\nend"
    )
    line = json.dumps({"type": "item", "text": f'cat .env\nPASSWORD="{PASSWORD}"\n{KEY}\n', "n": 1})
    assert json.loads(redact(line)) == {
        "type": "item",
        "text": 'cat .env\nPASSWORD="[redacted:password]"\n[redacted:private-key]\n',
        "n": 1,
    }


@pytest.mark.parametrize("cut", [KEY.index("\n"), len(KEY) // 2, len(KEY) - 10])
def test_half_a_private_key_does_not_take_the_rest_of_the_text_with_it(cut: int) -> None:
    text = f"before\n{KEY[:cut]}\n```\nprose after it\n-----BEGIN PUBLIC KEY-----\n"
    found = redact(text)
    assert found.startswith("before\n") and "\n```\nprose after it\n" in found
    assert not any(line[:20] in found for line in KEY[:cut].splitlines()[1:] if "END" not in line)


HOSTILE = (
    "eyJ", "eyJa.", "ghp_", "glpat-", "sk-", "xoxb-", "AKIA", "password=", "password='password=\"", 'password="',
    "password : ", "token", "token is ", "api key is ", "İtoken=", "x=password=password=x1 ", "Bearer ",
    "authorization: ", "curl", "curl -u a:b", " -u a:", "://", "://a:", "://a:b@", "Cookie: sid=", "sid=", "Q~", "-us1",
    "12345678:AA", ".atlasv1.", "-" * 40, "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----\n", "a" * 40 + "\n-----END PRIVATE KEY-----\n", "Private-Lines: 9\n", "QUJD" * 16 + "\n",
    "mysql -p", "docker login -p", "docker -p x ", "docker\"login\",\"-p\",\"", "curl -u a:", "sshpass -p ",
    "echo a | sudo -S ", "htpasswd -b a ", "redis-cli AUTH ", "password: 1of1of1", "password: a.a.a@",
    "password: ctrl+alt+",
    "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 16 + "\n", "[redacted:", "[redacted:secret]", "\\", "\\n", '"', "=", "A",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_the_work_is_linear_in_hostile_text(piece: str) -> None:
    """Four times the text, four times the time; a rule that looks twice at everything would need sixteen times."""
    redactor = Redactor()

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        begin = time.process_time()
        redactor.redact(text)
        return time.process_time() - begin

    seconds(4096)
    small, large = (min(seconds(size) for _ in range(2)) for size in (32 * 1024, 128 * 1024))
    assert large < 10 * max(small, 0.002)


def test_nothing_of_it_is_loaded_at_start_up() -> None:
    for words in (["-h"], ["ls"]):
        code = f"import sys; from gitrelay.cli import run; run({words!r}); sys.exit('gitrelay.redact' in sys.modules)"
        assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, timeout=60).returncode == 0, (
            words
        )


# -- bytes that come in pieces ---------------------------------------------------------------------


def test_a_secret_cut_in_two_by_a_chunk_is_caught() -> None:
    text = f"é first line\nexport TOKEN={TOKEN}\n{KEY}\nlast: {PASSWORD}x\nDB_PASSWORD={PASSWORD}".encode()
    whole = redact(text.decode()).encode()
    for cut in range(len(text)):
        stream = Redactor().stream()
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.close() == whole, cut
    stream = Redactor().stream()
    assert b"".join(stream.feed(text[i : i + 1]) for i in range(len(text))) + stream.close() == whole


def test_a_line_without_an_end_is_let_go_in_pieces_that_cut_no_secret() -> None:
    filler = "word " * 1999
    for shift in range(0, 60, 7):
        stream, out = Redactor().stream(), b""
        text = ("." * shift + (filler + f"TOKEN={TOKEN} ") * 60).encode()
        most = 0
        for i in range(0, len(text), 50_000):
            out += stream.feed(text[i : i + 50_000])
            most = max(most, i + 50_000 - len(out))
        out += stream.close()
        assert TOKEN[8:20].encode() not in out and out.count(b"[redacted:github-token]") == 60
        assert most < 600_000


def test_what_is_not_utf_8_stays_as_it_is(tmp_path: Path) -> None:
    data = b"caf\xe9 \xff\xfe\n" + bytes(range(256)) + b"\r\n\x1b[1mbold\x1b[0m\n"
    log = Log(tmp_path / "log", Redactor())
    log.write(data[:7])
    log.write(data[7:])
    assert log.last(10) == data[-10:]
    log.close()
    assert (tmp_path / "log").read_bytes() == data


def test_a_log_is_redacted_in_its_head_and_in_its_tail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    head, tail = 48 * 1024, 8 * 1024
    log = Log(path, Redactor(), head, tail)
    line = f"level=debug TOKEN={TOKEN} took=3ms\n".encode()
    log.write(b"begin ")
    assert log.last(100) == b"begin " and path.read_bytes() == b""
    for _ in range((head + tail + 2 * OVERLAP) // 40):
        log.write(line[:20])
        log.write(line[20:])
    log.write(f"DB_PASSWORD={PASSWORD}".encode())
    assert log.last(25) == b"PASSWORD=[redacted:password]"[-25:]
    log.close()
    written = path.read_bytes()
    assert TOKEN[10:20].encode() not in written and PASSWORD.encode() not in written
    assert b" bytes left out ...]" in written and written.endswith(b"DB_PASSWORD=[redacted:password]")
    assert head + tail // 2 < len(written) < head + tail + 2 * OVERLAP


def test_a_secret_at_the_end_of_a_logs_head_is_whole_in_its_tail(tmp_path: Path) -> None:
    """The head ends while a line is only half there: what is known of it then may look like a shorter secret."""
    first = b"first line\n" * 9
    line = f"DB_PASSWORD={PASSWORD}Longer99tail\n".encode()
    for cut in range(len(line)):
        log = Log(tmp_path / "log", Redactor(), len(first) - 5, 4096)
        log.write(first + line[:cut])
        log.write(line[cut:] + b"end\n")
        log.close()
        assert (tmp_path / "log").read_bytes() == first + b"DB_PASSWORD=[redacted:password]\nend\n", cut


CUT = [
    (f"xx {TOKEN} ", TOKEN),
    (f"DB_PASSWORD={PASSWORD} ", PASSWORD),
    (f'password = "{PASSWORD}" ', PASSWORD),
    (f"postgres://app:{PASSWORD}@db/x ", PASSWORD),
    (f" curl https://api.invalid -u admin:{PASSWORD} ", PASSWORD),
    (f"Cookie: a=b; theme=dark; sid={TOKEN[4:]}0a ", TOKEN[4:]),
    (f"{KEY}\n", KEY.splitlines()[2]),
]


def pieces(secret: str) -> list[str]:
    """What must not be left of a secret: its first and its last half, if they are long enough to tell."""
    half = max(6, len(secret) // 2)
    return [secret[:half], secret[-half:]]


@pytest.mark.parametrize(("text", "secret"), CUT, ids=lambda text: text.split(TOKEN)[0][:6].strip())
def test_no_cut_of_an_output_goes_through_a_secret(text: str, secret: str) -> None:
    """The cut is at every place of the text; the output is one line, lines, or words."""
    data = text.encode()
    for filler in (b"x", b"x\n", b"word "):
        pad = filler * (6000 // len(filler))
        for at in range(0, len(data) + 1, 1 if len(data) < 100 else 29):
            shown = [
                first_part(pad + data + pad, len(pad) + at),
                last_part(pad + data + pad, len(pad) + len(data) - at),
            ]
            for part in shown:
                left = redact(part.decode("utf-8", "replace"))
                assert not [piece for piece in pieces(secret) if piece in left], (filler, at)
                assert len(part) > 3000 if filler == b"x" else part


@pytest.mark.parametrize(("head", "tail"), [(0, 4096), (2048, 4096)])
def test_a_capture_cuts_no_secret_and_counts_what_it_left_out(head: int, tail: int) -> None:
    line = b"took 3 ms, all is well \n" * 4
    for size in (0, 3 * OVERLAP):  # nothing is dropped between what is kept, and something is
        for at in range(0, len(TOKEN) + 12, 3):
            capture = Capture(head, tail)
            first, last = b"a" * head, b"b" * tail
            first = first[: max(0, head - at)] + f" {TOKEN} ".encode()
            last = f" {TOKEN} ".encode() + last[: max(0, tail - len(TOKEN) - 2 + at)]
            whole = first + line * (1 + size // len(line)) + last
            for i in range(0, len(whole), 700):
                capture.feed(whole[i : i + 700])
            text = capture.text()
            assert not [piece for piece in pieces(TOKEN) if piece in redact(text)], (size, at)
            (left_out,) = re.findall(r"\[\.\.\. (\d+) bytes left out \.\.\.\]", text)
            assert len(text) + int(left_out) == pytest.approx(len(whole), abs=80)


def test_a_capture_asks_the_users_own_patterns_where_to_cut() -> None:
    redactor = Redactor(["<<(?P<secret>[a-z ]+)>>"])
    for at in range(30):
        capture = Capture(0, 4096, redactor)
        capture.feed(b"x" * 50_000 + b"<<correct horse battery>>" + b"y" * (4096 - at))
        assert "horse" not in redactor.redact(capture.text()).text
        assert "battery" not in redactor.redact(capture.text()).text


def test_an_output_that_is_not_too_long_is_whole() -> None:
    capture = Capture(10, 10)
    capture.feed(b"0123456789")
    capture.feed(b"abcdefghij")
    assert capture.text() == "0123456789abcdefghij"
    capture.feed("é\0".encode())
    assert capture.text() == "0123456789\n[... 3 bytes left out ...]\ndefghij\xe9\ufffd"


# -- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra", [f"note: {TOKEN}", f'note: "{TOKEN}"', f"note: {TOKEN} and more", f"# {TOKEN}", f"{TOKEN}: 1"]
)
def test_a_secret_in_an_unknown_key_of_a_peers_file(extra: str) -> None:
    plain = Response("01", "codex", "claude", "error", "skip", f"body\n---\n\npassword: {PASSWORD}\n", "needs-input")
    data = plain.render().replace(b"\n---\n", b"\n" + extra.encode() + b"\n---\n", 1)
    clean, file, counts = redacted_response(Redactor(), plain, data)
    assert sum(counts.values()) == 2 and TOKEN.encode() not in file and PASSWORD.encode() not in file
    assert parse_response(file) == clean
    assert clean == Response(
        "01", "codex", "claude", "error", "skip", "body\n---\n\npassword: [redacted:password]\n", "needs-input"
    )


def test_a_request_stays_one() -> None:
    task = f"---\nReply: x\n\nUse {KEY}\nand TOKEN={TOKEN}"
    clean, file, counts = redacted_request(Redactor(), Request("01", "claude", "codex", task, "s"))
    assert counts == {"private-key": 1, "github-token": 1}
    assert parse_request(file, "s") == clean and clean.render() == file
    assert clean.task == "---\nReply: x\n\nUse [redacted:private-key]\nand TOKEN=[redacted:github-token]"
    open_key = Request("01", "claude", "codex", KEY[:200], "s")
    assert parse_request(redacted_request(Redactor(), open_key)[1], "s").task == "[redacted:private-key]"


def test_an_answer_that_redaction_makes_too_large_loses_its_end() -> None:
    limit = 32 * 1024
    body = ("DB_PW=a1b2c3\n" * (limit // 13 + 1))[: limit - 200]
    clean, file, _ = redacted_response(Redactor(), Response("01", "a", "b", "done", "skip", body), limit=limit)
    assert limit - 200 < len(file) <= limit and parse_response(file) == clean
    assert clean.body.startswith("DB_PW=[redacted:password]\n") and clean.body.endswith("it was too large]")


def test_an_answer_that_is_kept_until_it_can_be_recorded_is_redacted_and_counted() -> None:
    response = Response("01", "codex", "claude", "done", "pass", f"TOKEN={TOKEN}")
    kept = Outcome(response, "peer", {"Relay-Model": TOKEN}, response.render(), (f"see {TOKEN}",)).redacted(Redactor())
    assert TOKEN not in json.dumps(kept.to_json())
    assert kept.trailers["Relay-Redacted"] == "1" and kept.data == kept.response.render()


# -- end to end ------------------------------------------------------------------------------------


def traces(repo: Repo, *secrets: str) -> list[str]:
    """Where any of `secrets` can still be found: in objects, refs and files of the repository and its worktrees."""
    objects = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=repo.path, env=dict(repo.env), capture_output=True
    )
    assert objects.returncode == 0
    texts = {
        "objects": objects.stdout,
        "log": repo.git("log", "--all", "-p").encode(),
        "refs": repo.git("for-each-ref").lower().encode(),
    }
    for place in (".git/relay", ".git/logs", ".relay"):
        for path in (repo.path / place).rglob("*"):
            if path.is_file() and not path.is_symlink():
                texts[str(path)] = path.read_bytes()
    return [f"{where}: {secret}" for secret in secrets for where, data in texts.items() if secret.encode() in data]


def peer(repo: Repo, tmp_path: Path, script: str) -> None:
    """The peer `leaky`, which runs `script`; what it says is in files, so that the task does not hold it."""
    program = tmp_path / "leaky.sh"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    program.chmod(0o755)
    repo.git("config", "relay.leaky.command", shlex.quote(str(program)))
    repo.git("config", "relay.leaky.plain", "true")
    (tmp_path / "said").write_text(f"I found TOKEN={TOKEN}\nand\n{KEY}\nin .env\n")


def count(repo: Repo, rev: str) -> str:
    return repo.git("log", "-1", "--format=%(trailers:key=Relay-Redacted,valueonly)", rev).strip()


def test_a_secret_in_a_request_is_in_no_object_and_told_to_the_caller(repo: Repo) -> None:
    done = repo.relay("req", "--to", "shell", "--session", "s", f"echo TOKEN={TOKEN}; true DB_PASSWORD={PASSWORD}")
    assert done.code == 0, done.err
    assert "2 secrets were redacted (github-token, password) in the request" in done.err
    assert TOKEN not in done.err + done.out
    assert "TOKEN=[redacted:github-token]\n" in done.out  # what the peer was given
    assert count(repo, "relay/s~1") == "2" and count(repo, "relay/s~2") == ""
    assert traces(repo, TOKEN, PASSWORD) == []
    assert_all_valid(repo)


def test_a_task_that_begins_with_a_secret_names_no_branch_after_it(repo: Repo) -> None:
    done = repo.relay("req", "--to", "shell", "--no-invoke", f"{TOKEN} is my token; what can it do?")
    assert done.code == 0, done.err
    assert "-redacted-github-token-is-my" in repo.git("for-each-ref")
    assert traces(repo, TOKEN, TOKEN[4:20].lower()) == []


@pytest.mark.parametrize("how", ["printed", "reply", "stderr", "failed", "broken-reply", "split"])
def test_a_secret_in_an_answer_or_a_log_leaves_no_trace(repo: Repo, tmp_path: Path, how: str) -> None:
    reply = ".relay/s/01.res.md"
    head = "printf -- '---\\nrelay: 4\\nre: 01\\nfrom: leaky\\nto: uma\\nstatus: done\\nverify: pass\\n'"
    script = {
        "printed": f"cat {tmp_path}/said",
        "reply": f"{{ {head}; echo note: {TOKEN}; printf -- '---\\n\\n'; cat {tmp_path}/said; }} > {reply}",
        "stderr": f"cat {tmp_path}/said >&2; echo fine",
        "failed": f"cat {tmp_path}/said; cat {tmp_path}/said >&2; exit 3",
        "broken-reply": f"cat {tmp_path}/said > {reply}; cat {tmp_path}/said > .relay/s/02.req.md",
        "split": f"printf 'DB_PASS'; sleep 0.2; printf 'WORD={PASSWORD[:4]}'; sleep 0.2; echo {PASSWORD[4:]}",
    }[how]
    peer(repo, tmp_path, script)
    done = repo.relay("req", "--from", "uma", "--to", "leaky", "--session", "s", "go")
    assert done.code == (4 if how in ("failed", "broken-reply") else 0), done.err
    secrets_ = (TOKEN, PASSWORD, *KEY.splitlines()[1:-1])
    assert traces(repo, *secrets_) == []
    assert not any(secret in done.out + done.err for secret in secrets_)
    if how in ("printed", "reply"):
        assert "I found TOKEN=[redacted:github-token]\nand\n[redacted:private-key]\nin .env\n" in done.out
    assert count(repo, "relay/s") == {"printed": "2", "reply": "3", "stderr": "", "split": "1"}.get(
        how, count(repo, "relay/s")
    )
    logs = "".join(p.read_text() for p in (repo.path / ".git/relay/logs").iterdir())
    assert ("[redacted:" in logs) == (how not in ("reply", "broken-reply"))
    assert_all_valid(repo)


def test_a_check_and_its_output_are_redacted(repo: Repo, tmp_path: Path) -> None:
    peer(repo, tmp_path, "echo fine")
    command = f"cat {tmp_path}/said; DB_PASSWORD={PASSWORD}; exit 1"
    done = repo.relay("req", "--to", "leaky", "--session", "s", "--check", command, "go")
    assert done.code == 1, done.err
    assert count(repo, "relay/s") == "3"
    assert traces(repo, TOKEN, PASSWORD, *KEY.splitlines()[1:-1]) == []
    again = repo.relay("check-again", "s/01")
    assert again.code == 2 and "redacted" in again.err
    assert_all_valid(repo)


def test_an_answer_that_a_person_records_is_redacted(repo: Repo) -> None:
    assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "--no-invoke", "true").code == 0
    answer = ("res", "--session", "s", "--re", "01", "--from", "shell", "--to", "uma", "--status", "done")
    assert repo.relay(*answer, "--verify", "skip", f"It is {TOKEN}.").code == 0
    assert "It is [redacted:github-token].\n" in repo.relay("show", "s/01").out
    assert count(repo, "relay/s") == "1" and traces(repo, TOKEN) == []


def test_an_answer_of_a_supervisor_that_died_is_redacted(repo: Repo, tmp_path: Path, mark: dict[str, str]) -> None:
    """The reply file is there, the supervisor is not: the next look records it."""
    reply = ".relay/s/01.res.md"
    head = "printf -- '---\\nrelay: 4\\nre: 01\\nfrom: leaky\\nto: uma\\nstatus: done\\nverify: pass\\n---\\n\\n'"
    peer(repo, tmp_path, f"{{ {head}; cat {tmp_path}/said; }} > {reply}; cat {tmp_path}/said; kill -9 $PPID; sleep 60")
    done = repo.relay("req", "--from", "uma", "--to", "leaky", "--session", "s", "go", env=mark)
    assert done.code == 0, done.err
    assert count(repo, "relay/s") == "2"
    assert traces(repo, TOKEN, *KEY.splitlines()[1:-1]) == []
    assert_all_valid(repo)


def test_an_import_is_redacted_and_the_folder_stays_as_it_is(repo: Repo) -> None:
    folder = repo.path / "old/s"
    folder.mkdir(parents=True)
    request = Request("01", "claude", "codex", f"Use TOKEN={TOKEN}.", "s").render()
    (folder / "01.req.md").write_bytes(request)
    (folder / "01.res.md").write_bytes(Response("01", "codex", "claude", "done", "pass", f"Used {TOKEN}").render())
    done = repo.relay("import", "old")
    assert done.code == 0, done.err
    assert (folder / "01.req.md").read_bytes() == request
    assert count(repo, "relay/s") == count(repo, "relay/s~1") == "1"
    assert traces(repo, TOKEN) == []


def test_names_and_keys_that_are_secrets_are_refused(repo: Repo) -> None:
    name = "sk" + "-ant-" + some("abcdefgh0123456789", 40)
    for words in (("--session", name), ("--from", name, "--session", "s"), ("--key", f"TOKEN={TOKEN}")):
        done = repo.relay("req", "--to", "shell", *words, "true")
        assert done.code == 2 and "looks like a secret" in done.err, done.err
        assert name not in done.err and TOKEN not in done.err
    assert repo.git("for-each-ref", "refs/heads/relay") == ""


def test_a_bad_pattern_is_a_usage_error_that_quotes_it(repo: Repo) -> None:
    repo.git("config", "--add", "relay.redact", "PRJ-[0-9]+")
    repo.git("config", "--add", "relay.redact", "([a-z")
    for words in (["req", "--to", "shell", "true"], ["scan"]):
        done = repo.relay(*words)
        assert done.code == 2 and "'([a-z'" in done.err and ".git/config" in done.err, done.err
    assert repo.git("for-each-ref", "refs/heads/relay") == ""


def test_the_users_patterns_hold_for_requests_answers_and_logs(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "--add", "relay.redact", "PRJ-[0-9]+")
    repo.git("config", "--add", "relay.redact", "(?i)acme (?P<secret>gmbh)")
    peer(repo, tmp_path, "echo 'for ACME GmbH: PRJ-77'; echo PRJ-78 >&2")
    done = repo.relay("req", "--to", "leaky", "--session", "s", "What is PRJ-76?")
    assert done.code == 0 and "for ACME [redacted:custom]: [redacted:custom]" in done.out, done.err
    assert "1 secret was redacted (custom) in the request" in done.err
    assert traces(repo, "PRJ-7", "GmbH") == []


def test_a_crash_log_and_the_line_about_it_are_redacted(tmp_path: Path) -> None:
    code = (
        "import gitrelay.ledger.ledger\nfrom gitrelay.cli import run\n"
        f"def broken(*_): raise RuntimeError('sent ' + {TOKEN!r})\ngitrelay.ledger.ledger.open_ledger = broken\n"
        "raise SystemExit(run(['ls']))\n"
    )
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 70, done.stderr
    (log,) = tmp_path.glob("git-relay-*.log")
    assert "RuntimeError: sent [redacted:github-token]" in log.read_text() and TOKEN not in log.read_text()
    assert TOKEN.encode() not in done.stderr


# -- git relay scan --------------------------------------------------------------------------------


def leak(repo: Repo, text: str) -> str:
    """What a version without redaction would have recorded: a response and a subject with a secret."""
    assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "true").code == 0
    message = f"res 02 shell -> uma: done\n\nRelay-Id: 02\nRelay-Model: {text}\n"
    (repo.path / "body").write_text(f"---\nrelay: 4\n---\n\nfirst\nTOKEN={text}\n")
    (repo.path / "message").write_text(message)
    repo.sh(
        "blob=$(git hash-object -w body); export GIT_INDEX_FILE=$PWD/index; git read-tree relay/s;"
        "git update-index --add --cacheinfo 100644,$blob,02.res.md;"
        "git update-ref refs/heads/relay/s $(git commit-tree -p relay/s -F message $(git write-tree));"
        "rm index body message"
    )
    return repo.git("rev-parse", "relay/s")


def scan(repo: Repo, *words: str) -> Done:
    done = repo.relay("scan", *words)
    assert TOKEN not in done.out + done.err
    return done


def test_scan_finds_what_was_recorded_and_says_where(repo: Repo) -> None:
    assert scan(repo).code == 0 and scan(repo).out == ""
    commit = leak(repo, TOKEN)
    assert repo.relay("req", "--to", "shell", "--session", "other", "echo PRJ-1").code == 0
    done = scan(repo, "--json")
    assert done.code == 1
    assert done.json["data"] == [
        {"address": "s/02", "commit": commit, "file": "commit message", "line": 4, "rule": "github-token"},
        {"address": "s/02", "commit": commit, "file": "02.res.md", "line": 6, "rule": "github-token"},
    ]
    assert [error["code"] for error in done.json["errors"]] == ["secret", "secret"]
    plain = scan(repo, "s")
    assert plain.code == 1 and "02.res.md       6     github-token" in plain.out and "revoke" in plain.err
    assert scan(repo, "other").code == 0
    repo.git("config", "relay.redact", "PRJ-[0-9]")
    assert {row["rule"] for row in scan(repo, "other", "--json").json["data"]} == {"custom"}
    assert repo.relay("archive", "other").code == 0
    assert scan(repo, "other").code == 1 and scan(repo, "nothing").code == 2


def test_scan_asks_git_a_number_of_questions_that_does_not_grow(repo: Repo, tmp_path: Path) -> None:
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    real = repo.sh("command -v git").strip()
    wrapper.write_text(f'#!/bin/sh\necho call >> {tmp_path}/calls\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    for i in range(2):
        assert repo.relay("req", "--to", "shell", "--session", f"s{i}", "true").code == 0
    path = {"PATH": f"{wrapper.parent}:{repo.env['PATH']}"}
    numbers = []
    for i in range(2, 6):
        (tmp_path / "calls").write_text("")
        assert repo.relay("scan", env=path).code == 0
        numbers.append(len((tmp_path / "calls").read_text().splitlines()))
        assert repo.relay("req", "--to", "shell", "--session", f"s{i}", "true").code == 0
    assert len(set(numbers)) == 1 and numbers[0] <= 8, numbers
