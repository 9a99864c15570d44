"""gitrelay is killed before a write that it makes: nothing recorded is lost, and the next look heals.

`inject/sitecustomize.py` kills the caller or the supervisor with SIGKILL right before its N-th git command that
writes, or its N-th file operation. After each: the branches hold every rule but that the last request may wait
for its answer, everything recorded before is still there, the user's files, index and refs are as they were; then
a look heals it, the next turn works, `git fsck` is clean and no process is left.

A run that is not killed says which writes there are, so a new one is covered without being listed here. One of
each kind is tried in a second turn, other ones on other days (GITRELAY_TEST_SEED chooses); around the move of the
branch, and at one place more, in the other scenarios. Under GITRELAY_SOAK=1 every write is tried in every scenario.
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
from support.soak import SOAK, dice
from support.waiting import eventually, processes_with

pytestmark = pytest.mark.slow

MOST = 200  # writes of one process; a run that has more goes round in circles
PARTS = 4 if SOAK else 1  # tests that share the writes of a scenario
# what a write is about, by its git command or its operation; one that is not named here is a kind of its own
KINDS = {
    **dict.fromkeys(("hash-object", "mktree", "commit-tree", "unpack-objects"), "objects"),
    **dict.fromkeys(("update-index", "read-tree", "checkout-index"), "index"),
    **dict.fromkeys(("open", "os.mkdir"), "made"),
    **dict.fromkeys(("os.remove", "os.rmdir", "os.truncate"), "removed"),
}
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
RUNS = [
    ("first", "caller"),
    ("first", "supervisor"),
    ("second", "caller"),
    ("second", "supervisor"),
    ("one-shot", "caller"),
    ("one-shot", "supervisor"),
    ("check", "supervisor"),
    ("cancel", "caller"),
    ("cancelled", "supervisor"),
    ("res", "caller"),
    ("close", "caller"),
    ("archive", "caller"),
    ("import", "caller"),
    ("apply", "caller"),
]


@pytest.mark.parametrize(("name", "role"), RUNS, ids=["-".join(run) for run in RUNS])
@pytest.mark.parametrize("part", range(PARTS))
def test_an_abort_at_every_write(tmp_path: Path, name: str, role: str, part: int) -> None:
    scenario = SCENARIOS[name]
    template = tmp_path / "template"
    template.mkdir()
    model = Repo(template / "repo", sealed_environment(template / "home"))
    model.path.mkdir()
    model.sh("git init -q --template=; echo 'print(1)' > app.py; git add app.py; git commit -qm first; echo x > mine")
    model.sh("echo staged > staged; git add staged")
    scenario.prepare(model)
    # every copy goes to the same place, because a worktree knows where it is
    template.rename(tmp_path / "kept")
    if SOAK:
        numbers = list(range(1 + part, MOST, PARTS))
    else:
        shutil.copytree(tmp_path / "kept", template, symlinks=True)
        numbers = chosen(written(model, scenario, role, tmp_path / "all"), name, role)
        shutil.rmtree(template)
    aborted = []
    for number in numbers:
        shutil.copytree(tmp_path / "kept", template, symlinks=True)
        if attempt(model, scenario, role, number, tmp_path / f"points.{number}"):
            aborted.append(number)
        shutil.rmtree(template)
        if SOAK and number not in aborted:
            break
    else:
        assert not SOAK, f"more than {MOST} writes"
    assert 2 * len(aborted) >= len(numbers) or SOAK, f"of the writes {numbers} only {aborted} were made again"
    assert aborted, "the process makes no write at all"


def written(repo: Repo, scenario: Scenario, role: str, log: Path) -> list[str]:
    """The kind of each write of `role`, in the order in which it makes them if it is not killed."""
    mark = uuid.uuid4().hex
    repo = Repo(repo.path, {**repo.env, "GITRELAY_TEST_MARK": mark})
    scenario.work(repo, faults(repo, role, 0, log))
    repo.relay("cancel", "s/02")  # for a peer that works for ten minutes
    assert eventually(lambda: not processes_with("GITRELAY_TEST_MARK", mark)), left(mark)
    words = [line.split()[1].removesuffix(":") for line in log.read_text().splitlines()]
    return [KINDS.get(word, word) for word in words]


def chosen(kinds: list[str], name: str, role: str) -> list[int]:
    """The numbers of the writes to be killed at, from 1: around the move of the branch, and some."""
    random = dice(f"{name}-{role}")
    moves = [n for n, kind in enumerate(kinds, start=1) if kind == "update-ref"]
    moves = moves if name == "second" or not moves else [random.choice(moves)]
    numbers = {n + after for n in moves for after in (0, 1) if n + after <= len(kinds)}
    if name == "second":
        for kind in sorted({*kinds}):
            of_kind = [n for n, other in enumerate(kinds, start=1) if other == kind]
            if not numbers & {*of_kind}:
                numbers.add(random.choice(of_kind))
    numbers.add(random.randint(1, len(kinds)))
    return sorted(numbers)


def faults(repo: Repo, role: str, number: int, log: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(INJECT),
        "FAULT_ROLE": role,
        "FAULT_AT": str(number),
        "FAULT_ROOT": str(repo.path),
        "FAULT_LOG": str(log),
    }


def attempt(repo: Repo, scenario: Scenario, role: str, number: int, log: Path) -> bool:
    """One run with an abort at the `number`-th write of `role`, and everything that must hold then; was it reached?"""
    mark = uuid.uuid4().hex
    repo = Repo(repo.path, {**repo.env, "GITRELAY_TEST_MARK": mark})
    before = recorded(repo), users(repo, scenario)
    scenario.work(repo, faults(repo, role, number, log))
    points = log.read_text().splitlines() if log.exists() else []
    aborted = "ABORT" in points
    where = f"{role} aborted before {points[-2] if aborted else 'nothing'}"
    try:
        for session in called(repo):
            assert_valid(repo, session, pending=True, worktree=False, fsck=False)
        assert_kept(repo, before[0])
        assert users(repo, scenario) == before[1]
        scenario.look(repo)
        looks(repo, ("show", "wait") if SOAK else ("show", "wait")[number % 2 :][:1])
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


def looks(repo: Repo, verbs: tuple[str, ...]) -> None:
    """What a person does after something died, `status` first: each is an answer or one line, never a traceback."""
    status = repo.relay("status", "--all")
    assert status.code == 0, status.err
    for session in called(repo):
        ids = assert_valid(repo, session, pending=True, worktree=False, fsck=False)
        if "show" in verbs:
            shown = repo.relay("show", session)
            assert shown.code == 0, shown.err
        if "wait" in verbs and ids:
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
