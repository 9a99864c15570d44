"""What the hook `pre-push` costs a push whose verdict is recorded, and one that pushes nothing.

    python benchmarks/gate.py [PAIRS] [--ssh]

Pairs of the same push of one commit, with the hook and without it, in turn and each to a fresh copy of the same bare
repository, because a machine's speed drifts; prints the ratios of the time waited, and of processor time, which
tells more on a busy machine. A bare repository in a folder is the hardest case: nothing else takes time. `--ssh`
adds the same to an sshd on 127.0.0.1, which is the least that a push usually meets. The program itself, which
decides where no pass is noted, is timed beside it.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from helping import helped

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent
_REVIEWER = r"""
import re, sys
said = dict(re.findall(r"^  (re|from|to): (\S+)$", sys.stdin.read(), re.M))
print("---\nrelay: 4\nre: {re}\nfrom: {from}\nto: {to}\nstatus: done\nverify: pass\n---\n\nNo findings.".format(**said))
"""


def environment(folder: Path) -> dict[str, str]:
    config = folder / "gitconfig"
    config.write_text("[user]\n\tname = B\n\temail = b@example.invalid\n[init]\n\tdefaultBranch = main\n")
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(folder), "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}


def sh(script: str, place: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(["sh", "-ec", script], cwd=place, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script}: {done.stderr}")
    return done.stdout


def make(folder: Path, env: Mapping[str, str]) -> Path:
    """A clone of 200 files with a reviewed commit that is not pushed yet, the hook, and some reviews before it."""
    work = folder / "work"
    (folder / "reviewer.py").write_text(_REVIEWER)
    work.mkdir()
    sh(
        "git init -q; for i in $(seq 200); do echo $i >file$i; done; git add .; git commit -qm first\n"
        "git init -q --bare ../server.git; git remote add origin ../server.git; git push -q origin main\n"
        "git fetch -q; git remote set-head origin main; git push -q origin main:topic; git checkout -qb topic\n"
        f"git config relay.cat.command '{sys.executable} {folder}/reviewer.py'\n"
        "for i in $(seq 8); do echo x$i >>file1; git commit -qam change$i; git relay review --to cat; done\n"
        "git push -q origin topic; cp -r ../server.git ../before.git\n"
        "echo more >>file2; git commit -qam more; git relay hooks install pre-push --to cat; git relay review",
        work,
        env,
    )
    return work


def pairs(
    folder: Path, work: Path, env: Mapping[str, str], count: int, push: Sequence[str], *, noop: bool
) -> list[tuple[float, ...]]:
    """Of each pair: seconds waited with the hook and without, processor seconds with it and without.

    What is done first changes in turn.
    """
    found: list[tuple[float, ...]] = []
    hook, aside = work / ".git/hooks/pre-push", work / ".git/hooks/aside"
    for i in range(-1, count):
        waited, used = {}, {}
        for with_hook in (True, False) if i % 2 else (False, True):
            shutil.rmtree(folder / "server.git")
            shutil.copytree(folder / ("after.git" if noop else "before.git"), folder / "server.git")
            before = sh("git rev-parse origin/topic", work, env).strip()
            if not with_hook:
                hook.rename(aside)
            begin, before_use = time.perf_counter(), processor()
            done = subprocess.run(
                push, cwd=work, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            waited[with_hook], used[with_hook] = time.perf_counter() - begin, processor() - before_use
            if not with_hook:
                aside.rename(hook)
            if done.returncode:
                raise SystemExit(done.stderr.decode())
            sh(f"git update-ref refs/remotes/origin/topic {before}", work, env)
        if i >= 0:  # the first round warms the caches
            found.append((waited[True], waited[False], used[True], used[False]))
    return found


def processor() -> float:
    """Processor seconds of the children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(name: str, found: Sequence[tuple[float, ...]], aim: str) -> None:
    ratios = [row[0] / row[1] for row in found]
    with_hook, without, used, used_without = (statistics.median(side) * 1000 for side in zip(*found, strict=True))
    processors = statistics.median(row[2] / row[3] for row in found)
    print(
        f"{name}: ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}){aim}; "
        f"medians {with_hook:.1f} ms against {without:.1f} ms, {len(found)} pairs; "
        f"processor {processors:.2f} ({used:.1f} against {used_without:.1f} ms)"
    )


def measure(folder: Path, work: Path, env: Mapping[str, str], count: int, where: str) -> None:
    push = ["git", "push", "-q", "origin", "topic"]
    aim = ", aim at most 1.3"
    report(f"{where}, recorded pass", pairs(folder, work, env, count, push, noop=False), aim)
    shutil.rmtree(folder / "after.git", ignore_errors=True)
    shutil.copytree(folder / "server.git", folder / "after.git")
    report(f"{where}, nothing to push", pairs(folder, work, env, count, push, noop=True), aim)
    notes = work / ".git/relay/passed"
    notes.rename(folder / "passed")
    notes.touch()  # a file in the way: no pass can be noted, and the program decides every time
    report(
        f"{where}, recorded pass, decided by the program",
        pairs(folder, work, env, max(count // 4, 3), push, noop=False),
        "",
    )
    notes.unlink()
    (folder / "passed").rename(notes)


def sshd(folder: Path) -> Iterator[str]:
    """An sshd of our own on 127.0.0.1 while the caller needs it; what GIT_SSH_COMMAND is for it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.sshserver import serving

    with serving(folder / "ssh") as server:
        yield server.command


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--ssh"]
    count = int(words[0]) if words else 40
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        work = make(folder, env)
        measure(folder, work, env, count, "bare repository in a folder")
        if "--ssh" in sys.argv:
            for command in sshd(folder):
                sh(f"git remote set-url origin 'ssh://127.0.0.1{folder}/server.git'", work, env)
                sh("git relay review", work, {**env, "GIT_SSH_COMMAND": command})
                measure(folder, work, {**env, "GIT_SSH_COMMAND": command}, max(count // 2, 5), "ssh to 127.0.0.1")


if __name__ == "__main__":
    helped(__doc__)
    main()
