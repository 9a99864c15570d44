"""gitrelay is killed at every write it makes, one run for each: nothing recorded is lost, and the next look heals.

`inject/sitecustomize.py` kills the caller or the supervisor with SIGKILL right before its N-th git command that
writes, or its N-th file operation. N goes up from 1 until a run ends without having been killed, so a new write
is covered without being listed here. After each: the branches hold every rule but that the last request may wait
for its answer, everything recorded before is still there, the user's files, index and refs are as they were; then
a look heals it, the next turn works, `git fsck` is clean and no process is left.

The supervisor makes the same writes in every kind of call. All of them are tried in a second turn, one in four
(SAMPLED) in the other kinds; under GITRELAY_SOAK=1 all are tried everywhere.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitrelay.protocol.message import Request
from support.ledgercheck import assert_sound, assert_valid, sessions
from support.places import INJECT
from support.repo import Done, Repo, sealed_environment
from support.soak import rounds
from support.waiting import eventually, processes_with

pytestmark = pytest.mark.slow

SAMPLED = rounds(4, 1)
MOST = 200  # points in one process; a run that has more goes round in circles
ASK = ("req", "--from", "uma", "--to", "shell")
WORK = "echo answered; date > made.txt"


@dataclass(frozen=True)
class Scenario:
    """A command to be killed, in a repository that `prepare` made; `work` runs it with the fault in its environment."""

    work: Callable[[Repo, Mapping[str, str]], object]
    prepare: Callable[[Repo], object] = lambda repo: None
    look: Callable[[Repo], object] = lambda repo: None
    writes_files: bool = True  # the peer, or apply, writes made.txt


def ask(*words: str) -> Callable[[Repo, Mapping[str, str]], Done]:
    return lambda repo, fault: repo.relay(*ASK, *words, env=fault)


def run(*words: str) -> Callable[[Repo, Mapping[str, str]], Done]:
    return lambda repo, fault: repo.relay(*words, env=fault)


def first_turn(repo: Repo) -> None:
    assert repo.relay(*ASK, "--session", "s", "echo first").code == 0


def waiting_request(repo: Repo) -> None:
    first_turn(repo)
    assert repo.relay("req", "--from", "uma", "--to", "bob", "--session", "s", "--no-invoke", "Look.").code == 0


def something_to_apply(repo: Repo) -> None:
    assert repo.relay(*ASK, "--session", "s", WORK).code == 0
    (repo.path / "made.txt").unlink()


def original_folder(repo: Repo) -> None:
    first_turn(repo)
    old = repo.path.parent / "old" / "imported"
    old.mkdir(parents=True)
    for id_ in ("01", "02"):
        (old / f"{id_}.req.md").write_bytes(Request(id_, "ada", "bob", f"Do {id_}.", "imported").render())
        head = f"relay: 4\nre: {id_}\nfrom: bob\nto: ada\nstatus: done\nverify: skip\n"
        (old / f"{id_}.res.md").write_text(f"---\n{head}---\n\nDid.\n")


def cancelled(repo: Repo, fault: Mapping[str, str]) -> None:
    """A peer that would work for ten minutes, cancelled."""
    repo.relay(*ASK, "--session", "s", "-d", "exec sleep 600", env=fault)
    found = sessions(repo)
    if "s" in found and any(subject.startswith("req 02") for subject in repo.subjects("s")):
        done = repo.relay("cancel", "s/02")
        assert done.code == 0, done.err


def cancel_killed(repo: Repo, fault: Mapping[str, str]) -> None:
    assert repo.relay(*ASK, "--session", "s", "-d", "exec sleep 600").code == 0
    repo.relay("cancel", "s/02", env=fault)


def cancel_again(repo: Repo) -> None:
    done = repo.relay("cancel", "s/02")
    assert done.code == 0, done.err


def answered_by_hand(repo: Repo) -> None:
    if repo.relay("wait", "s/02", "--timeout", "10ms").code == 8:
        done = repo.relay(*RES)
        assert done.code == 0, done.err


def restored(repo: Repo) -> None:
    if "s" not in sessions(repo):
        done = repo.relay("archive", "--restore", "s")
        assert done.code == 0, done.err


def imported_after_all(repo: Repo) -> None:
    if "imported" not in sessions(repo):
        done = repo.relay("import", "../old")
        assert done.code == 0, done.err
    assert len(repo.subjects("imported")) == 5, "a session is imported whole or not at all"


def applied_or_not(repo: Repo) -> None:
    done = repo.relay("apply", "s/01")
    assert done.code == 0, done.err
    assert (repo.path / "made.txt").exists()


RES = (
    "res",
    "--session",
    "s",
    "--re",
    "02",
    "--from",
    "bob",
    "--to",
    "uma",
    "--status",
    "done",
    "--verify",
    "skip",
    "I",
)
SCENARIOS = {
    "first": Scenario(ask("--session", "s", WORK)),
    "second": Scenario(ask("--session", "s", WORK), first_turn),
    "one-shot": Scenario(ask("--name", "once", WORK)),
    "check": Scenario(ask("--session", "s", "--check", "true", "--check", "test -e app.py", WORK), first_turn),
    "cancel": Scenario(cancel_killed, first_turn, cancel_again),
    "cancelled": Scenario(cancelled, first_turn),
    "res": Scenario(run(*RES), waiting_request, answered_by_hand),
    "close": Scenario(run("close", "s"), first_turn),
    "archive": Scenario(run("archive", "s"), first_turn, restored),
    "import": Scenario(run("import", "../old"), original_folder, imported_after_all),
    "apply": Scenario(run("apply", "s/01"), something_to_apply, applied_or_not),
}
# (scenario, process, this part, of so many parts, every so many-th write)
PARTS = [
    *(("first", "caller", part, 3, 1) for part in range(3)),
    ("first", "supervisor", 0, 1, SAMPLED),
    *(("second", "caller", part, 2, 1) for part in range(2)),
    *(("second", "supervisor", part, 4, 1) for part in range(4)),
    ("one-shot", "caller", 0, 1, SAMPLED),
    ("one-shot", "supervisor", 0, 1, SAMPLED),
    *(("check", "supervisor", part, 2, SAMPLED) for part in range(2)),
    ("cancel", "caller", 0, 1, 1),
    *(("cancelled", "supervisor", part, 2, SAMPLED) for part in range(2)),
    ("res", "caller", 0, 1, 1),
    ("close", "caller", 0, 1, 1),
    ("archive", "caller", 0, 1, 1),
    ("import", "caller", 0, 1, 1),
    ("apply", "caller", 0, 1, 1),
]


@pytest.mark.parametrize(("name", "role", "part", "parts", "step"), PARTS, ids=[f"{p[0]}-{p[1]}-{p[2]}" for p in PARTS])
def test_an_abort_at_every_write(tmp_path: Path, name: str, role: str, part: int, parts: int, step: int) -> None:
    scenario = SCENARIOS[name]
    template = tmp_path / "template"
    template.mkdir()
    model = Repo(template / "repo", sealed_environment(template / "home"))
    model.path.mkdir()
    model.sh("git init -q --template=; echo 'print(1)' > app.py; git add app.py; git commit -qm first; echo x > mine")
    model.sh("echo staged > staged; git add staged")
    scenario.prepare(model)
    # every copy goes to the same place, because a worktree knows where it stands
    template.rename(tmp_path / "kept")
    for number in range(1 + part * step, MOST, parts * step):
        shutil.copytree(tmp_path / "kept", template, symlinks=True)
        aborted = attempt(model, scenario, role, number, tmp_path / f"points.{number}")
        shutil.rmtree(template)
        if not aborted:
            assert number > 1, "the process makes no write at all"
            return
    raise AssertionError(f"more than {MOST} writes")


def attempt(repo: Repo, scenario: Scenario, role: str, number: int, log: Path) -> bool:
    """One run with an abort at the `number`-th write of `role`, and everything that must hold then; was it reached?"""
    mark = uuid.uuid4().hex
    repo = Repo(repo.path, {**repo.env, "GITRELAY_TEST_MARK": mark})
    before = recorded(repo), users(repo, scenario)
    fault = {
        "PYTHONPATH": str(INJECT),
        "FAULT_ROLE": role,
        "FAULT_AT": str(number),
        "FAULT_ROOT": str(repo.path),
        "FAULT_LOG": str(log),
    }
    scenario.work(repo, fault)
    points = log.read_text().splitlines() if log.exists() else []
    aborted = "ABORT" in points
    where = f"aborted before {points[-2] if aborted else 'nothing'}"
    try:
        for session in called(repo):
            assert_valid(repo, session, pending=True, worktree=False, fsck=False)
        assert_kept(repo, before[0])
        assert users(repo, scenario) == before[1]
        scenario.look(repo)
        looks(repo)
        assert eventually(lambda: not processes_with("GITRELAY_TEST_MARK", mark)), left(mark)
        done = repo.relay(*ASK, "--session", "s", "echo next")
        assert done.code == 0 and "next" in done.out, done.err
        for session in called(repo):
            assert_valid(repo, session, fsck=False)
        assert_sound(repo)
        assert_kept(repo, before[0])
        assert users(repo, scenario) == before[1]
        assert eventually(lambda: not processes_with("GITRELAY_TEST_MARK", mark)), left(mark)
        assert litter(repo) == []
    except AssertionError as e:
        raise AssertionError(f"{where}: {e}") from e
    finally:
        for process in processes_with("GITRELAY_TEST_MARK", mark):
            process.kill()
    return aborted


def called(repo: Repo) -> list[str]:
    """The sessions that calls made; an imported one has not every trailer, and its own look counts its commits."""
    return [session for session in sessions(repo) if session != "imported"]


def looks(repo: Repo) -> None:
    """What a person does after something died: each is an answer or one line, never a traceback."""
    status = repo.relay("status", "--all")
    assert status.code == 0, status.err
    for session in called(repo):
        ids = assert_valid(repo, session, pending=True, worktree=False, fsck=False)
        shown = repo.relay("show", session)
        assert shown.code == 0, shown.err
        if ids and "no answer yet" in shown.err + "not answered yet":
            waited = repo.relay("wait", f"{session}/{ids[-1]}" if session != ids[-1] else session, "--timeout", "30s")
            assert waited.code in (0, 1, 4, 8), waited.err


def recorded(repo: Repo) -> dict[str, str]:
    """Session -> its last commit."""
    rows = repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/relay", "refs/relay/archive")
    return {ref.rpartition("/")[2]: oid for ref, oid in (row.split() for row in rows.splitlines())}


def assert_kept(repo: Repo, before: Mapping[str, str]) -> None:
    now = recorded(repo)
    for session, tip in before.items():
        assert session in now, f"{session} is gone"
        repo.git("merge-base", "--is-ancestor", tip, now[session])


def users(repo: Repo, scenario: Scenario) -> dict[str, object]:
    """Everything that is the user's and not a call's."""
    files = {
        path.name: path.read_bytes()
        for path in repo.path.iterdir()
        if path.is_file() and not (path.name == "made.txt" and scenario.writes_files)
    }
    refs = repo.git("for-each-ref").splitlines()
    return {
        "files": files,
        "refs": [row for row in refs if "refs/heads/relay/" not in row and "refs/relay/" not in row],
        "index": (repo.path / ".git/index").read_bytes(),
        "head": (repo.path / ".git/HEAD").read_bytes(),
        "config": (repo.path / ".git/config").read_bytes(),
    }


def litter(repo: Repo) -> list[str]:
    """Calls that are still taken for running."""
    calls = repo.path / ".git/relay/calls"
    return sorted(path.name for path in calls.iterdir()) if calls.exists() else []


def left(mark: str) -> str:
    return f"still running: {[p.cmdline() for p in processes_with('GITRELAY_TEST_MARK', mark)]}"
