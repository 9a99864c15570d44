"""Signed sessions: gitrelay signs as the user's git does, with ssh and gpg, and fsck holds them to it; real keys."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.ledgercheck import assert_valid
from support.repo import Repo
from support.waiting import eventually, processes_with


@dataclass(frozen=True)
class Signing:
    """A repository whose commits are signed. `mine` and `other` are what user.signingKey takes, of two keys."""

    repo: Repo
    mine: str
    other: str
    options: tuple[str, ...]  # of fsck, so that `mine` is the only key that may sign

    def turn(self, *, key: str | None = None, sign: bool = True) -> None:
        """One turn of session s: two commits, signed with `key`."""
        self.repo.sh(f"git config user.signingKey '{key or self.mine}'; git config relay.sign {str(sign).lower()}")
        done = self.repo.relay("req", "--to", "shell", "--session", "s", "true")
        assert done.code == 0, done.err

    def findings(self) -> list[tuple[str, str]]:
        """(code, address) of what fsck finds where signatures are required."""
        done = self.repo.relay("fsck", "--json", "--require-signed", *self.options)
        assert done.code in (0, 1), done.err
        found: list[dict[str, Any]] = done.json["data"]["findings"]
        return [(f["code"], f["address"]) for f in found]


def ssh(repo: Repo, folder: Path) -> Signing:
    for name in ("mine", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(words, check=True, timeout=30)
    (folder / "allowed").write_text(f"uma@example.invalid {(folder / 'mine.pub').read_text()}")
    repo.sh("git config gpg.format ssh; git config commit.gpgsign true")
    options = ("--allowed-signers", "../allowed")
    return Signing(repo, str(folder / "mine.pub"), str(folder / "other.pub"), options)


def gpg(repo: Repo, home: str) -> Signing:
    """Two keys in a keyring of their own, the second of them not trusted."""
    env = {**repo.env, "GNUPGHOME": home}
    words = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    for name in ("mine", "other"):
        user = f"{name}@example.invalid"
        subprocess.run(
            [*words, "--quick-generate-key", user, "ed25519", "sign", "never"], env=env, check=True, timeout=60
        )
    listing = subprocess.run(
        ["gpg", "--batch", "--list-keys", "--with-colons"],
        env=env,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    mine, other = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")]
    trust = f"{other}:2:\n"  # 2: nothing is known of its owner
    subprocess.run(["gpg", "--batch", "--quiet", "--import-ownertrust"], input=trust, env=env, text=True, check=True)
    signed = Repo(repo.path, env)
    signed.sh("git config commit.gpgsign true")
    return Signing(signed, mine, other, ())


def agents(home: str) -> list[psutil.Process]:
    """The gpg programs that run for the keyring at `home`."""
    found = processes_with("GNUPGHOME", home)
    for process in psutil.process_iter():
        try:
            if home in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(params=["ssh", "gpg"])
def signing(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Iterator[Signing]:
    if request.param == "ssh":
        yield ssh(repo, tmp_path)
        return
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")  # a socket's path has at most 107 characters
    try:
        yield gpg(repo, home)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=30)
        gone = eventually(lambda: not agents(home))
        shutil.rmtree(home)
        assert gone


def test_a_call_is_signed_as_the_users_git_is_set_up(signing: Signing) -> None:
    signing.turn()
    signing.turn()
    assert_valid(signing.repo, "s")
    raw = signing.repo.sh("for c in $(git rev-list relay/s); do git cat-file commit $c; done")
    assert raw.count("\ngpgsig ") == 5
    assert signing.findings() == []
    assert signing.repo.relay("fsck").code == 0


def test_an_unsigned_commit_in_between_is_a_finding(signing: Signing) -> None:
    signing.turn()
    signing.turn(sign=False)
    signing.turn()
    assert signing.findings() == [("unsigned", "s/02"), ("unsigned", "s/02")]
    assert signing.repo.relay("fsck").code == 0, "nobody asked for signatures"


def test_a_wrong_signer_is_a_finding(signing: Signing) -> None:
    signing.turn()
    signing.turn(key=signing.other)
    signing.turn()
    assert signing.findings() == [("signer", "s/02"), ("signer", "s/02")]


def test_a_signature_that_was_carried_over_is_a_finding(signing: Signing) -> None:
    signing.turn()
    signing.repo.sh(
        "b=refs/heads/relay/s; git cat-file commit $b | sed 's/^committer Uma User/committer Uma Usurper/' >../commit\n"
        "git update-ref $b $(git hash-object -t commit -w ../commit)"
    )
    # the committer changes inside the exchange, and the signature is that of another commit
    assert signing.findings() == [("committer", "s/01"), ("signature", "s/01")]


def test_a_key_that_nobody_vouches_for_is_a_finding(signing: Signing, tmp_path: Path) -> None:
    """Without a file of allowed signers, and with an empty keyring, no signature can be told good from bad."""
    signing.turn()
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    done = signing.repo.relay("fsck", "--require-signed", "s", env={"GNUPGHOME": str(empty)})
    assert done.code == 1
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["signer"] * 3
    assert "--allowed-signers FILE" in done.out and "keyring" in done.out


def test_a_key_that_cannot_sign_records_nothing(signing: Signing) -> None:
    signing.repo.sh("git config user.signingKey /nonexistent/key; git config relay.sign true")
    done = signing.repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 4 and done.err.count("\n") == 1 and "cannot be signed" in done.err
    assert signing.repo.git("for-each-ref", "refs/heads/relay") == ""
