"""The engine `nats`: what it promises besides the cases of every engine, over a server that is killed and wiped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from gitrelay.errors import UsageError
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import BRANCHES
from gitrelay.remote.queue import dispatch
from gitrelay.remote.queue.engines import natsplace
from gitrelay.remote.queue.engines.natsplace import Credentials
from gitrelay.remote.queue.jobs import Job, Lease, Unreachable
from gitrelay.remote.queue.record import Published
from gitrelay.remote.queue.wire import Wire
from support import natsserver
from support.places import ROOT
from support.queues import PEERS, SHORT, Hub, Machine
from support.repo import Repo, with_one_commit
from support.waiting import eventually, patient

natsserver.require()
from gitrelay.remote.queue.engines.nats import NatsQueue  # noqa: E402  # it needs nats-py
from gitrelay.remote.queue.engines.natslink import Denied  # noqa: E402


@pytest.fixture
def server(tmp_path: Path) -> Iterator[natsserver.Server]:
    (tmp_path / "nats").mkdir()
    with natsserver.serving(tmp_path / "nats") as found:
        yield found


@pytest.fixture
def far(hub: Hub, server: natsserver.Server) -> Iterator[Hub]:
    there = replace(hub, broker=f"{server.url}/q", machines=[])
    yield there
    there.close()


def taken(machine: Machine, wait: float = 0.0) -> Lease:
    lease = machine.queue.take(["codex"], wait)
    assert lease is not None
    return lease


def test_the_first_to_publish_answers(far: Hub) -> None:
    """Cases 4 to 7 and 24: who lost the lease is told, and may still be first."""
    uma, a, b = far.machine("uma"), far.machine("a", SHORT), far.machine("b")
    job = uma.request("s")
    old = taken(a)
    new = taken(b, patient(60))
    assert new.attempt == 2
    assert a.queue.renew(old) is None
    a.queue.settle(old, done=False)
    assert uma.queue.find(job) is not None
    assert a.publish(old) == Published.OURS
    assert b.publish(new) == Published.ANSWERED
    b.queue.settle(new)
    a.queue.settle(old)
    assert list(uma.queue.pending()) == []
    assert far.answers("s") == ["req 01 s", "res 01 by a, attempt 1"]
    assert far.refs() == [BRANCHES + "s"]
    assert uma.queue.submit(job), "the server knows nothing of what has ended"
    again = taken(b, patient(60))
    assert b.publish(again) == Published.ANSWERED
    b.queue.settle(again)
    assert uma.queue.find(job) is None


def test_renewals_keep_a_job(far: Hub) -> None:
    """Case 3, with a lease that a busy machine does not let pass by chance."""
    uma, a, b = far.machine("uma"), far.machine("a", 8.0), far.machine("b")
    job = uma.request("s")
    lease = taken(a)
    known = uma.queue.find(job)
    assert known is not None and (known.worker, known.attempt) == ("a", 1)
    end = time.monotonic() + 11.0
    while time.monotonic() < end:
        renewed = a.queue.renew(replace(lease, says="running the tests"))
        assert renewed is not None
        lease = renewed
        assert b.queue.take(["codex"], 0.5) is None
    known = uma.queue.find(job)
    assert known is not None and known.says == "running the tests"
    assert a.publish(lease) == Published.OURS


def test_a_killed_server_takes_nobodys_job(far: Hub, server: natsserver.Server) -> None:
    """Cases 14, 15, 16, 21 and 32: unknown is not no, and a long outage takes nobody's job."""
    uma, a, b = far.machine("uma"), far.machine("a", 8.0), far.machine("b", 8.0)
    job = uma.request("s")
    lease = taken(a)
    other = Job("0" * 26, "codex", 5, "s2", lease.job.request)
    got: list[Lease | None] = []
    waiting = threading.Thread(target=lambda: got.append(b.queue.take(["codex"], patient(60))))
    waiting.start()
    server.stop(signal.SIGKILL)
    down = time.monotonic()
    for ask in (
        lambda: a.queue.renew(lease),
        lambda: a.queue.settle(lease),
        lambda: uma.queue.submit(other),
        lambda: uma.queue.cancel(other),
        lambda: uma.queue.find(job),
        lambda: list(uma.queue.pending()),
        lambda: a.queue.take(["codex"], 0),
    ):
        with pytest.raises(Unreachable):
            ask()
    assert eventually(lambda: time.monotonic() - down > 8.5)
    server.start()
    kept = eventually(lambda: _renewed(a, lease))
    assert kept
    uma.queue.submit(other)
    waiting.join()
    assert got[0] is not None and got[0].job == other
    assert a.publish(lease) == Published.OURS


def _renewed(machine: Machine, lease: Lease) -> bool:
    try:
        assert machine.queue.renew(lease) is not None
    except Unreachable:
        return False
    return True


def test_a_wiped_server_delays(far: Hub, server: natsserver.Server) -> None:
    """Case 22: what waits comes back from git; who held a job publishes, and who takes it then only settles."""
    uma, a, b = far.machine("uma"), far.machine("a", 8.0), far.machine("b", 8.0)
    done, held, waits = uma.request("done"), uma.request("held"), uma.request("waits")
    first = taken(a)
    assert a.publish(first) == Published.OURS
    a.queue.settle(first)
    lease = taken(a)
    assert {first.job, lease.job} == {done, held}
    server.stop(signal.SIGKILL)
    server.wipe()
    server.start()
    assert eventually(lambda: _renewed(a, lease)), "its claim was lost, and nobody else has one"
    there = None
    while there is None:
        renewed = a.queue.renew(lease)
        assert renewed is not None
        lease, there = renewed, b.queue.take(["codex"], 0.5)
    assert there.job == waits, "the other one is still claimed"
    assert a.publish(lease) == Published.OURS
    a.queue.settle(lease)
    again = taken(b, patient(60))
    assert again.job == held and b.publish(again) == Published.ANSWERED
    b.queue.settle(again)
    assert b.publish(there) == Published.OURS
    b.queue.settle(there)
    assert list(uma.queue.pending()) == []
    assert [far.answers(name)[1] for name in ("done", "held", "waits")] == [
        "res 01 by a, attempt 1",
        "res 01 by a, attempt 1",
        "res 01 by b, attempt 1",
    ]


def test_what_is_no_job_is_counted(far: Hub) -> None:
    uma, a = far.machine("uma"), far.machine("a")
    queue = cast(NatsQueue, uma.queue)
    queue.make(PEERS)
    id_ = "1" * 26
    for subject, data in (
        (f"relay.q.job.codex.0.{id_}", b"{}"),
        (f"relay.q.job.codex.1.{id_}", b'{"v":1,"session":"../x","request":"HEAD","time":1,"again":false}'),
        ("relay.q.job.codex.2.x", b"\xff"),
        (f"relay.q.claim.{id_}", b"[1]"),
    ):
        queue.link.request(subject, data)
    job = uma.request("s")
    lease = taken(a)
    assert lease.job == job and a.queue.strange == 3
    assert [one.job for one in uma.queue.listed()] == [job]
    assert uma.queue.strange >= 1
    assert list(uma.queue.pending()).count(job.id) == 1


def _documented(folder: Path) -> str:
    """The users of docs/nats.md, with our own folder for the data."""
    text = (ROOT / "docs/nats.md").read_text()
    (config,) = re.findall(r"^```text\n(# nats\.conf\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in config.splitlines() if not line.startswith("jetstream"))


def test_users_do_what_the_documents_let_them(hub: Hub, tmp_path: Path) -> None:
    """Who asks cannot take, who answers cannot make a queue; a wrong password is said to be one."""
    (tmp_path / "nats").mkdir()
    with natsserver.serving(tmp_path / "nats", _documented(tmp_path)) as server:
        far = replace(hub, broker=f"{server.url}/project")

        def user(name: str, password: str) -> Machine:
            machine = far.machine(name)
            queue = cast(NatsQueue, machine.queue)
            who = Credentials(user=name, password=password)
            machine.queue = NatsQueue(replace(queue.place, name="project", who=who), machine.wire, worker=name)
            return machine

        uma, wim, ada = user("uma", "change-1"), user("wim", "change-2"), user("ada", "change-3")
        with pytest.raises(Denied, match=r"(?i)STREAM\.CREATE"):
            uma.queue.submit(Job("1" * 26, "codex", 5, "s", "1" * 40))
        cast(NatsQueue, ada.queue).make(["codex"], 30)
        job = uma.request("s")
        with pytest.raises(Denied, match=r"(?i)CONSUMER\.INFO"):
            uma.queue.take(["codex"], 0)
        lease = taken(wim, 1.0)
        assert lease.job == job and wim.queue.lease == 30
        with pytest.raises(Denied, match=r"job\.claude"):
            wim.queue.submit(replace(job, peer="claude"))
        assert [one.worker for one in uma.queue.listed()] == ["wim"]
        uma.queue.withdraw(job)
        assert wim.queue.renew(lease) is None
        wrong = user("uma", "wrong-secret")
        with pytest.raises(Denied) as refused:
            wrong.queue.pending()
        assert "uthorization" in refused.value.message and "wrong-secret" not in refused.value.message
        wrong.queue.close()
        far.close()


def test_a_key_and_tls(hub: Hub, tmp_path: Path) -> None:
    """An NKey opens the server; tls:// is TLS or nothing, and a certificate of our own is trusted if we say so."""
    import nkeys

    folder = tmp_path / "nats"
    folder.mkdir()
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=q", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()
    public = nkeys.from_seed(seed.encode()).public_key.decode()
    more = f'tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }}\n'
    with natsserver.serving(folder, f"{more}authorization {{ users = [{{nkey: {public}}}] }}\n") as server:
        far = replace(hub, broker=f"{server.url}/q")
        uma = far.machine("uma")
        plain = cast(NatsQueue, uma.queue)
        place = replace(plain.place, tls=True, who=Credentials(seed=seed), ca=str(folder / "cert.pem"))
        safe = NatsQueue(place, uma.wire)
        assert safe.submit(Job("1" * 26, "codex", 5, "s", "1" * 40))
        safe.close()
        untrusted = NatsQueue(replace(place, ca=""), uma.wire)
        with pytest.raises(Unreachable, match="certificate"):
            untrusted.pending()
        untrusted.close()
        far.close()
    with natsserver.serving(folder) as server:
        there = replace(place, port=server.port, who=Credentials(user="u", password="p"))
        open_ = NatsQueue(there, uma.wire)
        with pytest.raises(Unreachable, match="no TLS"):
            open_.pending()
        open_.close()


REFUSED = {
    "redis://h/x": "redis://h/x",
    "nats": "'nats'",
    "nats://": "is no address",
    "nats://u:secret@h:99999/x": "is no address",
    "nats://u:secret@h/a/b": "letters, digits",
    "nats://u:secret@h/x?tls=no": "is no address",
    "redis://u:secret@h/x": "redis://***@h/x",
}


def test_a_setting_that_names_no_queue_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    repo = with_one_commit(tmp_path, env)
    repo.git("remote", "add", "origin", str(repo.path))
    for value, words in REFUSED.items():
        repo.git("config", "relay.origin.queue", value)
        opened = Repository.open(repo.path)
        with pytest.raises(UsageError) as refused:
            dispatch.engine(opened, "origin", Wire(opened, str(repo.path)))
        said = refused.value.message + refused.value.hint
        assert words in said and "relay.origin.queue" in said and "secret" not in said
    done = repo.relay("queue")
    assert done.code == 2 and "***" in done.err and "secret" not in done.err, done.err


def test_credentials_are_a_file_of_our_own(tmp_path: Path, env: dict[str, str]) -> None:
    """Not of the working tree, not for others to read; and none of it is shown."""
    repo = with_one_commit(tmp_path, env)
    repo.git("remote", "add", "origin", str(repo.path))
    repo.git("config", "relay.origin.queue", "nats://127.0.0.1:1/q")
    inside, outside = repo.path / "creds", tmp_path / "creds"
    for path in (inside, outside):
        path.write_text("uma:topsecret\n")
        path.chmod(0o600)
    for name, mode, text, words in (
        (str(inside), 0o600, "", "lies in the working tree"),
        ("creds", 0o600, "", "is no file"),
        (str(outside), 0o644, "uma:topsecret", "can be read by others"),
        (str(outside), 0o600, "topsecret", "holds no credentials"),
    ):
        repo.git("config", "relay.origin.queueCredentials", name)
        outside.write_text(text)
        outside.chmod(mode)
        with pytest.raises(UsageError) as refused:
            natsplace.of_setting(Repository.open(repo.path), "origin")
        assert words in refused.value.message and "topsecret" not in refused.value.message + refused.value.hint
    outside.write_text("uma:topsecret\n")
    assert natsplace.of_setting(Repository.open(repo.path), "origin").who.password == "topsecret"
    done = repo.relay("queue")
    assert done.code == 4 and "gives no answer" in done.err and "topsecret" not in done.err, done.err
    repo.git("config", "--unset", "relay.origin.queueCredentials")
    place = natsplace.of_setting(Repository.open(repo.path), "origin", {"NATS_NKEY": str(outside)})
    assert place.who.user == "uma" and place.name and "topsecret" not in repr(place)


def test_calls_as_a_user_types_them(tmp_path: Path, env: dict[str, str], server: natsserver.Server) -> None:
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    far = Repo(tmp_path / "far", env)
    for repo in (caller, far):
        repo.git("config", "relay.origin.queue", f"{server.url}/project")
    made = caller.relay("queue", "--init", "--peers", "shell", "--lease", "3s")
    assert made.code == 0 and f"{server.url}/project" in made.out, made.err
    words = ("--on", "origin", "-d", "--to", "shell")
    asked = caller.relay("req", *words, "--session", "s", "echo hello; echo made > made.txt")
    assert (asked.code, asked.out) == (0, "s/01\n"), asked.err
    assert [row["state"] for row in caller.relay("queue", "--json").json["data"]["jobs"]] == ["waiting"]
    worker = ("worker", "--remote", "origin", "--peers", "shell", "--unsigned")
    done = far.relay(*worker, "--once", "--json")
    assert [row["end"] for row in done.json["data"]["jobs"]] == ["answered"], done.err
    answered = caller.relay("wait", "s/01")
    assert answered.code == 0 and "hello" in answered.out, answered.err
    assert "made.txt" in caller.relay("diff", "s/01").out
    assert caller.git("ls-remote", "origin", "refs/relay/queue/*") == ""
    assert "no jobs" not in (left := caller.relay("queue")).err and "nothing waits" in left.err

    assert caller.relay("req", *words, "--session", "t", "sleep 1000").code == 0
    running = far.start(*worker, "--jobs", "1")
    try:
        assert eventually(lambda: "taken by" in caller.relay("status").err, 60)
        assert caller.relay("cancel", "t/01").code == 0
        _, err = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert "the job was taken away" in err.decode(), err.decode()
    assert caller.relay("wait", "t/01").code == 4
    doctor = caller.relay("doctor")
    assert f"{server.url}/project" in doctor.out + doctor.err
    server.stop(signal.SIGKILL)
    asked = caller.relay("req", *words, "--session", "u", "echo late")
    assert asked.code == 0 and "not sent yet" in asked.err, asked.err
    shutil.rmtree(server.folder / "data")
    server.start()
    assert caller.relay("wait", "u/01", "--timeout", "1s").code == 8
    assert far.relay(*worker, "--once").code == 0
    assert "late" in caller.relay("wait", "u/01").out
    assert caller.relay("fsck").code == 0
