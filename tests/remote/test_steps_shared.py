"""What peers say they did (`relay.steps`) travels with a session, and only forward."""

from __future__ import annotations

from pathlib import Path

from gitrelay.protocol.steps import Step, Steps, steps_file
from support.repo import Repo
from support.team import made, turn

REF = "refs/relay/steps/s"


def _add(repo: Repo, id_: str, *, also: str = "", ref: str = REF) -> str:
    """Record the steps of a turn as the supervisor does; `also` is one more file in the same commit."""
    data = Steps(id_, "shell", (Step(0.1, "run", f"pytest -q {id_}", 0, True),), 0).render()
    (repo.path.parent / "steps").write_bytes(data)
    name = steps_file(id_)
    more = f'printf "100644 blob $blob\\t{also}\\n"' if also else "true"
    return repo.sh(
        f"blob=$(git hash-object -w ../steps); old=$(git rev-parse -q --verify {ref} || true)\n"
        f'files() {{ test -z "$old" || git ls-tree $old; printf "100644 blob $blob\\t{name}\\n"; {more}; }}\n'
        "tree=$(files | git mktree)\n"
        f'commit=$(git commit-tree ${{old:+-p $old}} -m "stp {id_}" $tree)\n'
        f"git update-ref {ref} $commit; echo $commit"
    ).strip()


def test_steps_travel_with_their_session(answered: Repo, tmp_path: Path) -> None:
    team = made(answered)
    one = team.one
    first = _add(one, "01")
    assert one.relay("push", "--yes").code == 0
    assert team.there(REF) == {REF: first}
    two = team.clone()
    fetched = two.relay("fetch")
    assert fetched.code == 0, fetched.err
    (row,) = two.relay("show", "s/01", "--steps", "--json").json["data"]
    assert [step["what"] for step in row["steps"]] == ["pytest -q 01"]
    turn(one, "s")
    second = _add(one, "02")
    assert one.relay("push").code == 0
    assert two.relay("fetch").code == 0 and two.git("rev-parse", REF) == second
    strange = _add(one, "03", also="evil.txt")
    one.git("push", "-q", "origin", f"{strange}:{REF}")
    refused = two.relay("fetch")
    assert refused.code == 0 and "the steps of s were not taken: " in refused.err, refused.err
    assert two.git("rev-parse", REF) == second
    one.git("push", "-qf", "origin", f"{first}:{REF}")
    assert two.relay("fetch").code == 0 and two.git("rev-parse", REF) == second, "it only goes forward"
    assert two.relay("fsck").code == 0
