"""The words that people type for an exchange, for every verb that takes one."""

from __future__ import annotations

import pytest

from support.repo import Repo, with_one_commit

WHO = ("req", "--from", "uma", "--to", "shell")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A session with two turns, a one-shot, and last a request for a person; tests only read."""
    repo = with_one_commit(tmp_path_factory.mktemp("two"))
    assert repo.relay(*WHO, "--session", "auth", "echo one > one.txt").code == 0
    assert repo.relay(*WHO, "--session", "auth", "echo two > two.txt").code == 0
    return repo


@pytest.mark.parametrize(
    ("word", "file"),
    [
        (None, "two.txt"),
        ("@last", "two.txt"),
        ("auth", "two.txt"),
        ("auth/", "two.txt"),
        ("auth/1", "one.txt"),
        ("auth/002", "two.txt"),
        ("relay/auth", "two.txt"),
        ("refs/heads/relay/auth/1", "one.txt"),
        (".relay/auth/01.res.md", "one.txt"),
    ],
)
def test_a_word_means_one_exchange(two: Repo, word: str | None, file: str) -> None:
    done = two.relay("diff", "--stat", *([word] if word else []))
    assert done.code == 0 and file in done.out, done.err
    assert done.out.count("|") == 1
    assert done.err == ("" if (word and "1" in word) or word == "auth/002" else "auth/02\n"), "a guess is said"


def test_every_verb_takes_the_same_words(two: Repo) -> None:
    for verb in (["show", "--json"], ["wait"], ["tail", "--no-follow"], ["cancel"], ["check-again", "--check", "true"]):
        for word in ((), ("auth/2",)):
            done = two.relay(*verb, *word)
            assert done.code == 0, (verb, done.err)
            assert verb[0] in ("wait", "tail", "check-again") or "auth/02" in done.out + done.err
    assert two.relay("apply", "auth/1").code == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("auht", "did you mean auth?"),
        ("auth/7", "its last is auth/02"),
        ("auth/0", "'auth/0' is not the address"),
        ("Ünïcode/1", "is not the address"),
        ("@first", "'@first' is not the address"),
        ("a" * 300, "is not the address"),
        ("auth/" + "9" * 40, "its last is auth/02"),
    ],
)
def test_a_word_that_means_nothing(two: Repo, word: str, said: str) -> None:
    done = two.relay("diff", word)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1


def test_an_answer_by_hand_needs_the_address_alone(repo: Repo) -> None:
    nothing = repo.relay("diff")
    assert nothing.code == 2 and "nothing was asked here yet" in nothing.err
    asked = ("req", "--from", "uma", "--to", "shell", "--no-invoke", "--session", "hand")
    for words in (
        ("hand/1", "--verify", "pass", "by hand"),
        ("--verify", "fail", "by hand"),
        ("hand", "--status", "error"),
    ):
        assert repo.relay(*asked, "look").code == 0
        done = repo.relay("res", *words, stdin=b"by hand\n")
        assert done.code == 0, done.err
        assert "by hand" in repo.relay("show", done.out.strip(), "--res").out
    assert [e["outcome"] for e in repo.relay("show", "hand", "--json").json["data"]] == [
        "pass",
        "fail",
        "error:peer-error",
    ]
    assert repo.relay("res", "hand/1", "no verdict").code == 2


def test_the_last_call_is_the_last_also_within_a_second(repo: Repo) -> None:
    """A commit has its time in seconds; of two calls in one second the names must not decide."""
    for n in range(3):
        for session in (f"z{n}", f"a{n}"):
            assert repo.relay("req", "--session", session, "shell", "true").code == 0
        assert repo.relay("diff", "--json").err.startswith(f"a{n}/01"), "asked after z"


def test_the_last_call_of_a_group_is_the_group(repo: Repo) -> None:
    words = ("--attempts", "2", "--pick", "first", "--name", "twice", "echo x > x.txt")
    assert repo.relay(*WHO, *words).code == 0
    assert "twice/01" in repo.relay("show", "--req").err
    done = repo.relay("diff", "--stat")
    assert done.code == 0 and done.err.startswith("twice-shell-"), done.err


def test_completion_knows_the_last_call(two: Repo) -> None:
    from support.terminal import SANE

    env = {**SANE, "_GIT_RELAY_COMPLETE": "bash_complete", "COMP_WORDS": "git-relay diff @l", "COMP_CWORD": "2"}
    assert "@last" in two.relay(env=env).out
