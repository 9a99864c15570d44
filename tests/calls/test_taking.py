"""What a call changed is taken: merged, chosen, marked or committed, and always recorded."""

from __future__ import annotations

import json
import os
import signal

import pytest

from support.ledgercheck import assert_valid
from support.repo import Repo
from support.waiting import eventually, patient

ALONE = ("req", "--from", "uma", "--to", "shell", "--isolate", "--session", "s")


def test_an_apply_is_recorded_with_what_it_came_to(repo: Repo) -> None:
    repo.sh("printf 'a\\nb\\nc\\n' > f.txt; echo keep > k.txt; git add .; git commit -qm f")
    assert repo.relay(*ALONE, "sed -i s/b/B/ f.txt; echo new > new.txt; rm k.txt").code == 0
    repo.sh("sed -i s/b/mine/ f.txt")
    before = repo.sh("cat f.txt; ls; git status --porcelain")
    refused = repo.relay("apply", "s/01", "--json")
    assert refused.code == 1 and refused.json["errors"][0]["code"] == "conflict"
    assert (
        "--theirs" in refused.json["errors"][0]["hint"] and repo.sh("cat f.txt; ls; git status --porcelain") == before
    )
    marked = repo.relay("apply", "s/01", "--merge")
    assert marked.code == 1 and "conflict markers in f.txt" in marked.err
    assert repo.sh("cat f.txt") == "a\n<<<<<<< yours\nmine\n=======\nB\n>>>>>>> s/01\nc\n"
    assert (repo.path / "new.txt").exists() and not (repo.path / "k.txt").exists()
    repo.sh("git checkout -q .; rm new.txt; sed -i s/b/mine/ f.txt; echo staged > st.txt; git add st.txt")
    repo.sh("printf '#!/bin/sh\\ntouch ../hook-ran\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit")
    taken = repo.relay("apply", "s/01", "--theirs", "f.txt", "--commit", "--json")
    assert taken.code == 0, taken.err
    assert repo.git("log", "-1", "--format=%H %an") == f"{taken.json['data']['commit']} Uma User"
    assert repo.git("show", "--name-status", "--format=", "HEAD") == "M\tf.txt\nD\tk.txt\nA\tnew.txt"
    assert "Relay-Exchange: s/01" in repo.git("log", "-1", "--format=%B") and (repo.path / "../hook-ran").exists()
    assert repo.git("status", "--porcelain") == "A  st.txt"
    applies = repo.relay("show", "s/01", "--json").json["data"][0]["applies"]
    assert [one["result"] for one in applies] == ["conflict", "conflict", "applied"]
    assert applies[2]["onto"] == taken.json["data"]["onto"]
    assert repo.subjects("s")[-1] == f"apl 01 onto {applies[2]['onto']}: applied"
    assert (
        repo.git("log", "-1", "--format=%an %(trailers:key=Relay-By,valueonly)", "relay/s").split() == ["uma-user"] * 2
    )
    assert "M f.txt" in repo.git("show", "relay/s:01.apply-3.md")
    assert_valid(repo, "s")
    assert repo.relay("fsck").code == 0 and repo.relay("ls", "--json").json["data"][0]["status"] == "done"
    assert repo.relay(*ALONE, "cat f.txt").code == 0 and repo.relay("fsck").code == 0
    assert repo.relay("export", "-o", "../site").code == 0 and repo.relay("stats").code == 0
    repo.relay("close", "s")
    assert repo.relay("apply", "s/01").code == 0 and not (repo.path / ".relay/s").exists()


def test_the_line_for_a_commit_is_printed_and_added_to_none(repo: Repo) -> None:
    assert repo.relay(*ALONE, "echo new > new.txt").code == 0
    repo.git("config", "relay.trailer", "Made by")
    bad = repo.relay("apply", "s/01", "--trailer")
    assert bad.code == 2 and "'Made by'" in bad.err and not (repo.path / "new.txt").exists()
    repo.git("config", "relay.trailer", "Made-by")
    done = repo.relay("apply", "s/01", "--trailer", "--commit")
    assert done.out == "A new.txt\nMade-by: shell [gitrelay s/01]\n", done.err
    assert "Made-by" not in repo.git("log", "-1", "--format=%B")


def test_a_passing_change_is_applied_at_once(repo: Repo) -> None:
    done = repo.relay(*ALONE, "--apply", "--check", "test -f x.txt", "echo x > x.txt")
    assert done.code == 0 and (repo.path / "x.txt").exists() and "applied: A x.txt" in done.err
    failed = repo.relay(*ALONE, "--apply", "--check", "false", "echo y > y.txt")
    assert failed.code == 1 and not (repo.path / "y.txt").exists()
    assert "not applied: it ended with check-failed" in failed.err
    assert repo.relay("fsck").code == 0


def test_an_apply_that_was_killed_is_finished_by_the_next_command(repo: Repo) -> None:
    repo.sh("""
        printf '#!/bin/sh\\nwhile test -e ../slow; do sleep 0.05; done; cat\\n' > ../filter.sh; chmod +x ../filter.sh
        git config filter.slow.smudge "$PWD/../filter.sh"; git config filter.slow.clean cat
        echo '*.s filter=slow' > .gitattributes; echo 1 > a.s; echo 1 > b.txt; echo 1 > gone.txt; echo 1 > mine.txt
        git add .; git commit -qm f
    """)
    assert repo.relay(*ALONE, "for f in a.s b.txt mine.txt; do echo 2 >> $f; done; rm gone.txt; echo n > n.s").code == 0
    repo.sh("touch ../slow")
    started = repo.start("apply", "s/01")
    assert eventually(lambda: not (repo.path / "gone.txt").exists())
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(patient(30))
    started.communicate()
    repo.sh("echo changed since > mine.txt; rm ../slow")
    assert repo.relay("status").code == 0
    assert repo.sh("cat a.s b.txt n.s mine.txt; ls gone.txt 2>&1 || true").startswith("1\n2\n1\n2\nn\nchanged since\n")
    assert not (repo.path / "gone.txt").exists() and not list((repo.path / ".git/relay/applying").iterdir())


@pytest.mark.parametrize("kind", ["a path above", "another repository", "git's own folder"])
def test_a_note_of_an_apply_names_nothing_outside_its_tree(repo: Repo, kind: str) -> None:
    """The note is a file in the git folder: what it says is held to what an apply writes."""
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    repo.sh("git init -q ../other; cd ../other; echo mine > victim; cp victim ..; cp victim ../repo/.git/victim")
    oid = repo.git("hash-object", "-w", str(repo.path.parent / "victim"))
    top, path = {
        "a path above": (repo.path, "../victim"),
        "another repository": (repo.path.parent / "other", "victim"),
        "git's own folder": (repo.path, ".git/victim"),
    }[kind]
    folder = repo.path / ".git/relay/applying"
    folder.mkdir(exist_ok=True)
    part = {"top": str(top), "before": {path: ["100644", oid]}, "after": {path: None}}
    (folder / "0123456789abcdef").write_text(json.dumps({"version": 1, "parts": [part]}))
    repo.sh("echo 1 > new.txt")
    assert repo.relay("req", "--to", "shell", "--session", "s", "--isolate", "true").code == 0
    assert list(folder.iterdir()) == []
    for victim in (repo.path.parent / "victim", repo.path.parent / "other/victim", repo.path / ".git/victim"):
        assert victim.read_text() == "mine\n", victim
