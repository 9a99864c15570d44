"""What people may change in requests: the pattern of answers, the commands that verify, the whole Reply block."""

from __future__ import annotations

from pathlib import Path

from gitrelay.calls import wording
from gitrelay.cli import options
from gitrelay.protocol.footer import TEMPLATE
from support.repo import Repo


def test_what_is_shown_is_what_is_sent(repo: Repo, tmp_path: Path) -> None:
    assert options.VERIFY == wording.VERIFY
    for name, command in (("one", "echo fine"), ("two", "cat")):
        repo.git("config", f"relay.{name}.command", command)
        repo.git("config", f"relay.{name}.plain", "true")
    words = ("--from", "uma", "--session", "s", "Do it.")
    plain = repo.relay("template", "--to", "one", *words)
    assert plain.code == 0 and repo.git("for-each-ref", "refs/heads/relay") == ""
    assert repo.relay("req", "--to", "one", *words).code == 0
    assert repo.git("show", "relay/s:01.req.md") + "\n" == plain.out

    pattern, footer = tmp_path / "pattern.md", tmp_path / "footer.md"
    pattern.write_text("## Changes\n## Evidence\n")
    footer.write_bytes((TEMPLATE + "Signed by {from}.").replace("\n", "\r\n").encode())
    repo.git("config", "relay.pattern", "## Answer")
    repo.git("config", "relay.two.pattern", str(pattern))
    repo.git("config", "relay.footer", str(footer))
    repo.sh("git config --add relay.verify 'test -e app.py'; git config --add relay.verify 'test -e nothing'")
    shown = repo.relay("template", "--to", "two", *words, "--json").json["data"]["request"]
    assert "re: 02\n" in shown and "  ---\n  ## Changes\n  ## Evidence\nSigned by uma.\n" in shown
    assert "Verify: run these before you answer\n  $ test -e app.py\n  $ test -e nothing\nFormat:\n" in shown
    assert "  ---\n  ## Answer\nSigned" in repo.relay("template", "--to", "one", "--name", "x").out
    assert "\n\n{task}\n\n---\nReply: " in repo.relay("template").out

    done = repo.relay("req", "--to", "two", "--from", "uma", "--session", "s", "--check", "--json", "--", "Do it.")
    assert done.code == 1
    assert [(c["command"], c["result"]) for c in done.json["data"]["checks"]] == [
        ("test -e app.py", "pass"),
        ("test -e nothing", "fail (exit 1)"),
    ]
    assert repo.git("show", "relay/s:02.req.md") + "\n" == shown
    assert "Signed by uma." in done.json["data"]["body"]  # the peer, which says what it was given
    checked = repo.relay("fsck", "s")
    assert checked.code == 0, checked.out
    repo.git("config", "--unset", "relay.footer")  # what is recorded is read as ever
    assert repo.relay("fsck", "s").code == 0


def test_a_setting_that_would_break_requests_is_refused(repo: Repo, tmp_path: Path) -> None:
    words = ("req", "--to", "shell", "--session", "s", "true")
    (repo.path / "inside.md").write_text(TEMPLATE)
    (tmp_path / "link.md").symlink_to(repo.path / "inside.md")
    (tmp_path / "binary").write_bytes(b"\xff\0")
    (tmp_path / "big").write_text("x" * 70_000)
    broken = TEMPLATE.replace("  re: {id}\n", "")
    for name, value, said in (
        ("relay.footer", broken, "line 3, '{context}{verify}Format:': no line ' re: {id}' is below it"),
        ("relay.footer", "Answer me!", "line 1, 'Answer me!': it does not begin with '---'"),
        ("relay.footer", str(repo.path / "inside.md"), "in the working tree"),
        ("relay.footer", str(tmp_path / "link.md"), "in the working tree"),
        ("relay.shell.pattern", str(tmp_path / "nothing"), "cannot be read"),
        ("relay.pattern", str(tmp_path), "cannot be read"),
        ("relay.pattern", str(tmp_path / "binary"), "is not text"),
        ("relay.pattern", str(tmp_path / "big"), "bytes"),
        ("relay.pattern", "to: me", "line 1, 'to: me'"),
        ("relay.verify", " ", "is not a command"),
    ):
        repo.git("config", name, value)
        done = repo.relay(*words)
        assert done.code == 2 and said in done.err and name in done.err, done.err
        assert len(done.err.splitlines()) == 1
        repo.git("config", "--unset", name)
    done = repo.relay("req", "--to", "shell", "--check", "--", "true")
    assert done.code == 2 and "git config --add relay.verify" in done.err
    assert repo.git("for-each-ref", "refs/heads/relay") == ""
    assert repo.relay(*words).code == 0
