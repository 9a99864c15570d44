"""What the queue costs: bytes of a poll and of a claim with thousands of finished jobs, and how soon a job is taken.

    python benchmarks/queue_costs.py [--finished=10000] [--jobs=10]

Bytes are counted at the server, `git http-backend` behind a small http server on 127.0.0.1: the bodies and the lines
of the heads of all requests, up and down, without TCP and TLS. A finished job has two refs there, the branch and the
files. A claim is one take: a poll, and a push. Latency is from the start of the submit, which is a push, until another
thread, with a clone of its own, has the job; its engine polls every second (git) or is woken (NATS, if nats-server is
here; queue_race.py times it without the push). Processor time is that of all processes of both sides.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from helping import helped

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

if TYPE_CHECKING:
    from gitrelay.remote.queue.jobs import Lease
    from support.queues import Hub

POLL, PER_JOB, CLAIM = 1000, 100, 10_000  # bytes that are aimed at


def option(name: str, default: str) -> str:
    found = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith(f"--{name}=")]
    return found[-1] if found else default


def fill(hub: Path, finished: int) -> None:
    """Give the bare repository `hub` so many finished sessions, each with a branch and a code ref of its own."""
    lines = []
    for n in range(finished):
        for ref, said in (("refs/heads/relay/", f"res 01 {n}\n\nRelay-Id: 01\n"), ("refs/relay/code/", f"files {n}\n")):
            who = "A <a@example.invalid> 1700000000 +0000"
            lines.append(f"commit {ref}s{n}\ncommitter {who}\ndata {len(said)}\n{said}\n")
    words = ["git", "-C", str(hub), "fast-import", "--quiet"]
    subprocess.run(words, input="".join(lines), text=True, check=True)
    subprocess.run(["git", "-C", str(hub), "pack-refs", "--all"], check=True)


def sizes(place: Path, finished: int) -> None:
    """Print the rows about bytes."""
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote.queue import archiving
    from gitrelay.remote.queue.engines.git import GitQueue
    from support import httpgit

    hub = made(place / "sizes")
    hub.git("config", "http.receivepack", "true")
    fill(hub.path, finished)
    uma = hub.machine("uma")
    with httpgit.serving(hub.path.parent) as server:
        there: Hub = replace(hub, url=f"{server.url}/hub.git")
        a = there.machine("a").wire
        poll, claim = GitQueue(a), GitQueue(a, worker="a")

        def row(what: str, aim: int | None) -> None:
            up, down = sum(one[1] for one in server.sizes), sum(one[2] for one in server.sizes)
            held = " | " if aim is None else f"{aim:,} | {'met' if down <= aim else '**missed**'}"
            print(f"| {what} | {len(server.sizes)} | {up:,} | {down:,} | {held} |", flush=True)

        def polled(open_jobs: int) -> None:
            poll.poll(["codex"])
            server.sizes.clear()
            assert len(poll.poll(["codex"])) == open_jobs
            row(f"idle poll, {open_jobs} open, {finished:,} finished", POLL + PER_JOB * open_jobs)

        def claimed(session: str, what: str, aim: int | None) -> None:
            uma.request(session)
            server.sizes.clear()
            lease = claim.take(["codex"], 0)
            assert lease is not None
            row(what, aim)
            claim.settle(lease)

        print("| what | requests | bytes up | bytes down | aim, down | |\n|---|--:|--:|--:|--:|---|")
        polled(0)
        claimed("before", f"claim, {finished:,} finished", None)
        first = uma.request("open-0")
        many(hub.path, first.request, 99)
        polled(100)
        begun = time.perf_counter()
        done = archiving.archive(open_ledger(uma.repo.place), uma.wire, 0.0, dry=False, tell=lambda words: None)
        took = time.perf_counter() - begun
        polled(100)
        lines = "".join(f"delete {ref}\n" for ref in hub.refs() if "/queue/" in ref)
        subprocess.run(["git", "-C", str(hub.path), "update-ref", "--stdin"], input=lines, text=True, check=True)
        claimed("after", f"claim, {finished:,} archived", CLAIM)
        server.sizes.clear()
        there.machine("new").wire.look("refs/relay/finished/index*")
        row("the list of the archive, once", None)
        print(f"\n{len(done.sessions):,} sessions were archived in {took:.1f} s, over a folder.\n")


def many(hub: Path, request: str, count: int) -> None:
    """Open more jobs at the hub, for one request."""
    from gitrelay.remote.queue import text
    from gitrelay.remote.queue.jobs import Job
    from gitrelay.remote.queue.text import State

    lines = []
    for n in range(count):
        job = Job(f"{n:026}", "codex", 5, f"open-{n + 1}", request)
        said, who = text.render(State("open", job)), "A <a@example.invalid> 1700000000 +0000"
        lines.append(f"commit {text.ref_of(job)}\ncommitter {who}\ndata {len(said)}\n{said}\n")
    subprocess.run(["git", "-C", str(hub), "fast-import", "--quiet"], input="".join(lines), text=True, check=True)


def made(folder: Path) -> Hub:
    from support.queues import Hub

    folder.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", str(folder / "hub.git")], check=True)
    return Hub(folder / "hub.git", str(folder / "hub.git"), folder)


def work(place: Path, times: int = 20) -> None:
    """Print the rows about processor time."""
    from support import httpgit

    hub = made(place / "work")
    hub.git("config", "http.receivepack", "true")
    with httpgit.serving(hub.path.parent) as server:
        folder = _worked(hub, "folder", times)
        http = _worked(replace(hub, url=f"{server.url}/hub.git"), "http", times)
    print("| processor time of one | folder, ms | http, ms |\n|---|--:|--:|")
    for what, spent in folder.items():
        print(f"| {what} | {spent:.0f} | {http[what]:.0f} |")
    print(flush=True)


def _worked(hub: Hub, name: str, times: int) -> dict[str, float]:
    """Milliseconds of a poll and of what happens to a job, in turn."""
    from paired import worked

    uma = hub.machine(name)
    spent = dict.fromkeys(("poll", "submit", "claim", "renewal", "answer"), 0.0)
    for n in range(times):
        spent["poll"] += worked(lambda: list(uma.queue.pending())).cpu
        job = uma.request(f"{name}{n}", submit=False)
        spent["submit"] += worked(lambda: uma.queue.submit(job)).cpu  # noqa: B023
        leases: list[Lease | None] = []
        spent["claim"] += worked(lambda: leases.append(uma.queue.take(["codex"], 0))).cpu  # noqa: B023
        spent["renewal"] += worked(lambda: leases.append(leases[0] and uma.queue.renew(leases[0]))).cpu  # noqa: B023
        assert leases[1] is not None
        uma.bring(job.session)
        spent["answer"] += worked(lambda: uma.publish(leases[1])).cpu  # type: ignore[arg-type]  # noqa: B023
    return {what: one * 1000 / times for what, one in spent.items()}


def latencies(place: Path, jobs: int) -> None:
    """Print the rows about time."""
    from support import natsserver, sshserver

    print("| submit to claim | jobs | median, ms | most, ms |\n|---|--:|--:|--:|")
    _latency("git, a folder", made(place / "folder"), jobs)
    with sshserver.serving(place / "d") as server:
        os.environ["GIT_SSH_COMMAND"] = server.command
        hub = made(place / "ssh")
        _latency("git, ssh", replace(hub, url=server.url(hub.path)), jobs)
    found = shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None or importlib.util.find_spec("nats") is None:
        print("| NATS: nats-server or nats-py is not here | | | |")
        return
    (place / "broker").mkdir()
    with natsserver.serving(place / "broker") as broker:
        hub = replace(made(place / "nats"), broker=f"{broker.url}/costs")
        _latency("NATS, and git in a folder", hub, jobs)
        hub.close()


def _latency(what: str, hub: Hub, jobs: int) -> None:
    from gitrelay.remote.queue.engines.git import GitQueue

    uma, worker = hub.machine("uma"), hub.machine("worker", 60)
    queue = worker.queue
    if isinstance(queue, GitQueue):
        queue = GitQueue(worker.wire, worker="worker", pauses=(1.0, 1.0))
    found = []
    for n in range(jobs):
        taken: list[float] = []
        leases = []

        def wait() -> None:
            lease = queue.take(["codex"], 30)
            taken.append(time.perf_counter())  # noqa: B023
            leases.append(lease)  # noqa: B023

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(random.uniform(1, 2))
        begun = time.perf_counter()
        uma.request(f"s{n}")
        thread.join()
        found.append((taken[0] - begun) * 1000)
        if leases[0] is not None:
            queue.settle(leases[0])
    print(f"| {what} | {jobs} | {statistics.median(found):,.1f} | {max(found):,.1f} |", flush=True)


def main() -> None:
    from support.repo import sealed_environment

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        env = sealed_environment(place / "home")
        os.environ.clear()
        os.environ.update(env)
        sizes(place, int(option("finished", "10000")))
        work(place)
        latencies(place, int(option("jobs", "10")))


if __name__ == "__main__":
    helped(__doc__)
    main()
