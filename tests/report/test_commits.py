"""Commits lead to the code host that `origin` or `relay.commitUrl` names, never with a password and never elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gitrelay.errors import Code, UsageError
from gitrelay.report.commits import checked, guessed, href
from support.repo import Repo


@pytest.mark.parametrize(
    ("remote", "template"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("https://GitHub.com/o/r", "https://github.com/o/r/commit/{commit}"),
        ("git@github.com:o/r.git", "https://github.com/o/r/commit/{commit}"),
        ("ssh://git@ssh.github.com:443/o/r.js.git", "https://github.com/o/r.js/commit/{commit}"),
        ("https://me:ghp_secret@github.com/o/r.git/", "https://github.com/o/r/commit/{commit}"),
        ("ssh://git@gitlab.com/group/below/r.git", "https://gitlab.com/group/below/r/-/commit/{commit}"),
        ("gitlab.com:g/r.git", "https://gitlab.com/g/r/-/commit/{commit}"),
        ("git@codeberg.org:/o/r.git", "https://codeberg.org/o/r/commit/{commit}"),
        ("https://bitbucket.org/o/r.git", "https://bitbucket.org/o/r/commits/{commit}"),
        ("", ""),
        ("/srv/git/github.com/o/r.git", ""),
        ("../github.com:o/r", ""),
        ("file:///github.com/o/r", ""),
        ("https://git.example.org/o/r.git", ""),
        ("https://github.com.evil.invalid/o/r.git", ""),
        ("https://evil.invalid#@github.com/o/r.git", ""),
        ("git@evil.invalid:github.com/o/r.git", ""),
        ("https://github.com/o", ""),
        ("https://github.com/../r.git", ""),
        ('https://github.com/o/r"onclick=', ""),
        ("https://github.com/{commit}/r", ""),
        ("javascript:alert(1)//github.com/o/r", ""),
        ("ext::sh -c true github.com:o/r", ""),
        ("https://[github.com/o/r", ""),
    ],
)
def test_only_known_hosts_are_guessed(remote: str, template: str) -> None:
    assert guessed(remote) == template
    assert href(template, "a" * 40) == template.replace("{commit}", "a" * 40)
    assert href(template, "HEAD") == href(template, "") == ""


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert('{commit}')",
        "data:text/html,{commit}",
        "file:///srv/{commit}",
        "ssh://git@github.com/{commit}",
        "//host/{commit}",
        "/commit/{commit}",
        "https:///{commit}",
        "https://{commit}.example.org/",
        "https://host/no-commit",
        "https://host:port/{commit}",
        "https://[host/{commit}",
        'https://host/"onclick=x/{commit}',
        "https://host/a b/{commit}",
        "https://host/\n{commit}",
        "https://host/\u202e{commit}",
        "https://host/" + "x" * 3000 + "{commit}",
        "",
    ],
)
def test_a_hostile_address_is_refused(value: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked(value, "its file")
    error = refused.value
    assert error.code == Code.BAD_CONFIG and "\n" not in error.message and len(error.message) < 300
    assert error.message.startswith("relay.commitUrl in its file is ") and str(error.hint).startswith("git config")


def test_what_is_a_secret_is_not_told() -> None:
    with pytest.raises(UsageError) as refused:
        checked("https://me:hunter2@host/{commit}", "its file")
    assert "hunter2" not in refused.value.message and "a user's name or a password" in refused.value.message


def test_pages_lead_to_the_code_host(repo: Repo, tmp_path: Path) -> None:
    assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "true").code == 0
    ids = {*repo.git("log", "--format=%H", "--grep=^re[qs]", "relay/s").split(), repo.git("rev-parse", "HEAD")}

    def links() -> set[str]:
        done = repo.relay("export", "-o", str(tmp_path / "site"))
        assert done.code == 0, done.err
        return set(re.findall(r'<a href="(https?://[^"]*)"', (tmp_path / "site/sessions/s.html").read_text()))

    repo.git("remote", "add", "origin", "https://uma:hunter2@github.com/o/r.git")
    assert links() == {f"https://github.com/o/r/commit/{one}" for one in ids}
    repo.git("config", "relay.commitUrl", "http://git.example.org:8080/?p=r&h=%H")
    assert links() == {f"http://git.example.org:8080/?p=r&amp;h={one}" for one in ids}, "pages are made again"
    (repo.path / ".gitconfig").write_text('[relay]\n\tcommitUrl = "https://evil.invalid/{commit}"\n')
    repo.git("config", "relay.commitUrl", "never")
    assert links() == set()
    repo.git("config", "relay.commitUrl", "javascript:'{commit}'")
    for words in (("export", "-o", "../other"), ("export", "-o", "../one.html"), ("web",)):
        done = repo.relay(*words)
        assert (done.code, done.out) == (2, ""), words
        assert done.err.splitlines()[0].startswith("git-relay: relay.commitUrl in "), done.err
    assert not (tmp_path / "other").exists() and not (tmp_path / "one.html").exists()
