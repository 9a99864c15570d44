"""The workers of docs/ci, which a forge's runners start: the engine `ci`, and the steps of each file in a shell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitrelay.protocol.record import BRANCHES
from gitrelay.remote.queue import jobs
from gitrelay.remote.queue.engines.ci import RUNS, CiQueue
from gitrelay.remote.queue.jobs import Job
from gitrelay.remote.queue.text import QUEUE
from support.places import ROOT
from support.queues import Hub, Machine
from support.repo import Repo, with_one_commit

FILES = ("worker-forgejo.yml", "worker-github.yml", "worker-gitlab.yml")


@pytest.mark.parametrize("schema", ["github-workflows", "gitlab-ci"])
def test_the_files_are_of_the_published_form(schema: str) -> None:
    """Forgejo has no schema of its own: its files are held to GitHub's, which they are made for."""
    pytest.importorskip("check_jsonschema", reason="pip install -e '.[test]' brings it")
    found = sorted((ROOT / "docs/ci").glob("*.yml"))
    mine = [str(path) for path in found if ("gitlab" in path.name) == (schema == "gitlab-ci")]
    assert len(mine) >= 2
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *mine],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES)
def test_the_least_is_permitted_and_no_secret_is_for_all_steps(file: str) -> None:
    value = workflow(file)
    if file == "worker-gitlab.yml":
        assert value["relay"]["environment"]["name"] == "relay" and "resource_group" in value["relay"]
        return
    assert value["permissions"] == {"contents": "write"}
    (job,) = value["jobs"].values()
    assert "ref_name" in value["concurrency"]["group"]
    for step in job["steps"]:
        assert ("secrets." in str(step)) == (step.get("name") == "answer")
        assert "${{" not in step.get("run", ""), "what a branch is called must not become a part of a script"
    assert "secrets." not in str(job["env"]) and (file == "worker-forgejo.yml" or job["environment"] == "relay")


def workflow(file: str) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci" / file).read_text())
    return value


def steps(file: str, run: str, signers: Path) -> tuple[dict[str, str], str, str]:
    """(the environment, the shell that answers, the shell that runs in any case) as the forge would give them.

    What installs programs is left out, and the peer is `shell`.
    """
    value = workflow(file)
    if file == "worker-gitlab.yml":
        job = value["relay"]
        copy = signers.with_name("signers-of-ci")
        copy.write_text(signers.read_text())
        own = {"CI_COMMIT_BRANCH": run, "RELAY_SIGNERS": str(copy)}
        return {**job["variables"], **own}, "\n".join(job["script"]), "\n".join(job["after_script"])
    forge = file.removeprefix("worker-").removesuffix(".yml")
    (job,) = value["jobs"].values()
    known = {f"${{{{ {forge}.ref_name }}}}": run, "${{ vars.RELAY_SIGNERS }}": signers.read_text().strip()}
    env = {name: known.get(text, text) for name, text in job["env"].items()}
    shells = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    assert list(shells) == ["install", "answer", "end"] and job["steps"][-1]["if"] == "always()"
    return env, shells["answer"], shells["end"]


@dataclass(frozen=True)
class Forge:
    """Who asks, and the runner that a forge starts for the workflow `file`."""

    caller: Repo
    file: str
    signers: Path

    def rung(self, session: str, *words: str) -> str:
        """Ask; the name of the branch that starts the run, which is at the remote's default branch."""
        asked = self.caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", session, *words)
        assert asked.code == 0, asked.err
        (line,) = self.left(RUNS)
        at, ref = line.split("\t")
        assert at == self.caller.git("ls-remote", "origin", "refs/heads/main").split()[0]
        return ref.removeprefix("refs/heads/")

    def ran(self, run: str) -> str:
        """What the run says, and its exit code."""
        own, answer, end = steps(self.file, run, self.signers)
        folder = f"run-{run[-8:]}"
        self.caller.sh(f"git clone -q --branch {run} ../hub.git ../{folder}")
        place = self.caller.path.parent
        env = {**self.caller.env, **own, "PEERS": "shell", "RUNNER_TEMP": str(place), "CI": "true"}
        runner = Repo(place / folder, env)
        said = runner.sh(f"set +e; (set -e\n{answer}\n) 2>&1; echo exit $?", timeout=120)
        runner.sh(end)
        return said

    def left(self, *prefixes: str) -> list[str]:
        """What the remote has below them."""
        return self.caller.git("ls-remote", "origin", *(f"{prefix}*" for prefix in prefixes)).splitlines()


def forge(file: str, folder: Path, env: dict[str, str]) -> Forge:
    caller = with_one_commit(folder, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git config relay.origin.queue ci")
    caller.sh("ssh-keygen -q -t ed25519 -N '' -f ../key")
    caller.sh("git config relay.sign true; git config gpg.format ssh; git config user.signingKey ../key.pub")
    signers = folder / "signers"
    signers.write_text(f'uma namespaces="git" {(folder / "key.pub").read_text()}')
    return Forge(caller, file, signers)


@pytest.mark.parametrize("file", FILES)
def test_a_runner_answers_what_its_branch_rings_for(file: str, tmp_path: Path, env: dict[str, str]) -> None:
    """The branch starts a worker for one job, and is gone afterwards."""
    made = forge(file, tmp_path, env)
    said = made.ran(made.rung("s", "echo made > made.txt; echo hi"))
    assert "s/01: answered" in said and said.endswith("exit 0\n"), said
    assert made.left(RUNS, QUEUE) == []
    answered = made.caller.relay("wait", "s")
    assert answered.code == 0 and "hi" in answered.out, answered.err
    assert "made.txt" in made.caller.relay("diff", "s").out


def test_a_runner_leaves_alone_what_nobody_signed_and_what_is_cancelled(tmp_path: Path, env: dict[str, str]) -> None:
    made = forge("worker-github.yml", tmp_path, env)
    made.caller.git("config", "relay.sign", "false")
    said = made.ran(made.rung("s", "echo hi"))
    assert "not signed by anybody" in said and said.endswith("exit 1\n"), said
    assert made.left(RUNS) == [] and len(made.left(QUEUE)) == 1
    assert made.caller.relay("cancel", "s").code == 0
    made.rung("t", "echo hi")
    assert made.caller.relay("cancel", "t").code == 0
    assert made.left(RUNS, QUEUE) == []


def ci_machine(hub: Hub, name: str) -> Machine:
    made = hub.machine(name)
    return replace(made, queue=CiQueue(made.wire, worker=name, lease=60.0, pauses=(0.02, 0.05)))


def test_the_engine_rings_again_and_renews_without_a_push(hub: Hub) -> None:
    """What was not rung for is found again; a job that is taken away, or cancelled, is noticed by a look."""
    uma, a = ci_machine(hub, "uma"), ci_machine(hub, "a")
    job = uma.request("s", submit=False)
    with pytest.raises(jobs.Unreachable, match="no default branch"):
        uma.queue.submit(job)
    hub.git("symbolic-ref", "HEAD", f"{BRANCHES}s")  # any branch will do
    assert not uma.queue.submit(job), "the job is in the queue, only the bell was missing"
    assert f"{RUNS}{job.id}" in hub.refs()
    hub.git("update-ref", "-d", f"{RUNS}{job.id}")
    assert (uma.queue.reconcile(), uma.queue.reconcile()) == (1, 0) and f"{RUNS}{job.id}" in hub.refs()
    lease = a.queue.take(["codex"], 0)
    assert lease is not None and lease.beat == 60.0
    before = hub.git("for-each-ref", QUEUE)
    assert a.queue.renew(lease) == lease and hub.git("for-each-ref", QUEUE) == before
    hub.git("update-ref", "-d", f"{RUNS}{job.id}")
    assert uma.queue.reconcile() == 0, "somebody has it"
    a.publish(lease)
    assert a.queue.renew(lease) is None
    a.queue.settle(lease)
    uma.queue.announce(Job(job.id, "codex", 5, "s", job.request))
    a.queue.settle(lease)
    assert [ref for ref in hub.refs() if not ref.startswith("refs/heads/relay/")] == []


def test_a_server_that_takes_no_run_branch_is_named(hub: Hub) -> None:
    uma = ci_machine(hub, "uma")
    job = uma.request("s") if False else uma.request("s", submit=False)
    hub.git("symbolic-ref", "HEAD", f"{BRANCHES}s")
    hub.hook("update", 'case $1 in refs/heads/relay-run/*) echo "no such branches here" >&2; exit 1;; esac')
    with pytest.raises(jobs.Unreachable, match="does not take refs/heads/relay-run/"):
        uma.queue.submit(job)
    assert list(uma.queue.pending()) == [job.id], "a worker by hand can take it"
