"""A review with `relay.isolate read`, the default: the reviewer has the files of the pushed commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.gate import Gate
from support.ledgercheck import assert_valid

# keeps what it finds in its folder; fails while the word BAD is in app.py there
LOOKS = """
cat > /dev/null
{ pwd; git rev-parse HEAD; git status --porcelain --untracked-files=all; cat app.py; ls; } > SAW 2>&1
test -f .relay/review-main.diff && echo "has the patch" >> SAW
grep BAD app.py && exit 1
echo 'No findings.'
"""


@pytest.fixture
def looks(gate: Gate, tmp_path: Path) -> Gate:
    """The gate with a reviewer that looks at its working files."""
    program = tmp_path / "looks.sh"
    program.write_text(LOOKS.replace("SAW", str(tmp_path / "saw")))
    for key, value in (("fake.command", f"sh {program} {{access}}"), ("fake.verdict", "exit"), ("isolate", "read")):
        gate.repo.git("config", f"relay.{key}", value)
    return gate


def saw(gate: Gate) -> list[str]:
    return (gate.repo.path.parent / "saw").read_text().splitlines()


def test_the_reviewer_sees_the_pushed_commit_and_not_what_is_edited(looks: Gate) -> None:
    repo, work = looks.repo, looks.repo.path / ".relay/.work/review-main"
    repo.sh("printf 'lf\\ncrlf\\r\\n' > ends.txt; ln -s ../.. out; mkdir d; echo x > d/run; chmod +x d/run; git add .")
    head = looks.commit("print(2)")
    repo.sh("echo BAD >> app.py; git add app.py; echo more >> app.py; echo new > new.txt; rm ends.txt; git rm -q out")
    before = repo.sh("git status --porcelain=v2; git stash list; cat .git/index | sha256sum")
    done = looks.push()
    assert done.code == 0 and looks.there() == head, done.err
    assert saw(looks) == [str(work), head, "print(1)", "print(2)", "app.py", "d", "ends.txt", "out", "has the patch"]
    assert repo.subjects("review-main")[-1].endswith("verify pass")
    said = repo.git("log", "-1", "--format=%(trailers)", "relay/review-main")
    assert "Relay-Workspace: isolated" in said and "Relay-Sandbox: held" in said
    assert f"Relay-Tree: {repo.git('rev-parse', head + '^{tree}')}" in said
    assert repo.sh("git status --porcelain=v2; git stash list; cat .git/index | sha256sum") == before
    assert os.listdir(work.parent) == [], "it goes with the call"
    assert_valid(repo, "review-main")

    # what is committed is what counts, also where the caller's files are in order again, or on another branch
    bad = looks.commit("BAD")
    repo.sh("git reset -q --hard; sed -i /BAD/d app.py")
    done = looks.push()
    assert done.code == 1 and looks.there() == head and looks.state() == "failed", done.err
    assert saw(looks)[1] == bad and "BAD" in saw(looks)
    repo.sh("git checkout -q .; git checkout -q -b other HEAD~1; echo good >> app.py; git commit -qam other")
    repo.sh("git branch -qf main HEAD; git checkout -q --detach HEAD~1; echo elsewhere > app.py")
    done = looks.push("-q", "origin", "main")
    assert done.code == 0 and looks.there() == repo.git("rev-parse", "main"), done.err
    assert saw(looks)[1] == repo.git("rev-parse", "main") and "elsewhere" not in saw(looks)
    assert repo.relay("fsck").code == 0
