"""The fixtures: a sealed environment, with real git and nothing of the machine's own configuration or keys."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest.register_assert_rewrite("support")  # before the first import of one of its modules

from support import httpgit, natsserver, sshserver  # noqa: E402
from support.gate import Gate, made  # noqa: E402
from support.newgit import require as require_newgit  # noqa: E402
from support.queues import Hub  # noqa: E402
from support.repo import Repo, copy_of, sealed_environment, with_one_commit  # noqa: E402
from support.soak import rounds  # noqa: E402
from support.waiting import eventually, patient, processes_with  # noqa: E402

# A shell's background job is started with Ctrl-C ignored, one under nohup with SIGHUP ignored too, and so would be
# every process that a test starts.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


# How long an example takes says what else the machine does. A file's own `settings` go on from here.
hypothesis.settings.register_profile("gitrelay", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("gitrelay")

# what the fixtures of these make takes longer than a test: each stays in one worker
WHOLE = {
    "tests/audit/test_fsck.py",
    "tests/cli/test_screen.py",
    "tests/report/test_export.py",
    "tests/report/test_export_browser.py",
    "tests/report/test_web_browser.py",
    "tests/setup/test_completion.py",
}


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole modules first, the largest first; then every other test by itself."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in WHOLE else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker more than cores (`-n auto`): tests wait for other processes, and for limits to pass."""
    return (os.cpu_count() or 1) + 1


PLAIN = {"tmp_path", "tmp_path_factory", "monkeypatch", "capsys", "record_property", "request"}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with no fixture of ours starts no program: it is fast unless it is marked as slow.

    Aborts take longest, and begin first, so that at the end no worker has to wait for another.
    """
    items.sort(key=lambda item: "test_abort_at" not in item.nodeid)
    for item in items:
        given = getattr(item, "callspec", None)
        ours = {*getattr(item, "fixturenames", ())} - {*(given.params if given else ())} - PLAIN
        if not ours and not any(item.iter_markers("slow")) and not any(item.iter_markers("realcli")):
            item.add_marker("fast")


@pytest.hookimpl(tryfirst=True, wrapper=True)  # before pytest-timeout looks
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """The limit of a test grows with what the machine does, and with the rounds that it goes."""
    limit = next((mark.args[0] for mark in item.iter_markers("timeout")), None) or item.config.getini("timeout")
    item.add_marker(pytest.mark.timeout(patient(float(limit)) * rounds(1, 60)), append=False)
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured (`record_property("printed", line)`), also of those that ran in other processes."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, line in report.user_properties:
                if name == "printed" and report.when == "call":
                    terminalreporter.write_line(str(line))


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """A variable for the environment of a test; when the test is over, no process that has it is left."""
    name, value = "GITRELAY_TEST_MARK", uuid.uuid4().hex
    yield {name: value}
    gone = eventually(lambda: not processes_with(name, value))
    left = processes_with(name, value)
    said = [p.cmdline() for p in left if p.is_running()]
    for process in left:
        process.kill()
    assert gone, f"still running: {said}"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return sealed_environment(tmp_path / "home")


@pytest.fixture
def sealed(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has the sealed environment."""
    for name in os.environ:
        if name.startswith("GIT"):
            monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def hub(tmp_path: Path, sealed: None) -> Hub:
    """A hub that is a folder."""
    path = tmp_path / "hub.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    return Hub(path, str(path), tmp_path)


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshserver.Server]:
    with sshserver.serving(tmp_path_factory.mktemp("ssh") / "d") as found:
        yield found


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[natsserver.Server]:
    with natsserver.serving(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture
def far(request: pytest.FixtureRequest, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The same over the transport, or with the engine, that the test is parametrised with."""
    if request.param == "nats":
        url = request.getfixturevalue("broker").url
        there = replace(hub, broker=f"{url}/{hub.path.parent.name[-40:]}", machines=[])
        yield there
        there.close()
        return
    if request.param == "http":
        hub.git("config", "http.receivepack", "true")
        with httpgit.serving(hub.path.parent) as server:
            yield replace(hub, url=f"{server.url}/hub.git")
        return
    if request.param == "ssh":
        server = request.getfixturevalue("ssh")
        monkeypatch.setenv("GIT_SSH_COMMAND", server.command)
        hub = replace(hub, url=server.url(hub.path))
    yield hub


@pytest.fixture
def newgit(env: dict[str, str]) -> Path:
    """The folder of a git of 2.48 or newer, which is the one that the test's processes find."""
    folder = require_newgit()
    env["PATH"] = os.pathsep.join([str(folder), env["PATH"]])
    return folder


@pytest.fixture(params=["git", "newgit"])
def each_git(request: pytest.FixtureRequest) -> None:
    """Runs a test twice: with the system's git, and with the newer one."""
    if request.param == "newgit":
        request.getfixturevalue("newgit")


@pytest.fixture
def repo(tmp_path: Path, env: dict[str, str]) -> Repo:
    """A repository with one commit."""
    return with_one_commit(tmp_path, env)


@pytest.fixture(scope="session")
def one_turn(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with the session `s` of one turn; to be copied, not to be used."""
    folder = tmp_path_factory.mktemp("one-turn")
    made = with_one_commit(folder)
    done = made.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo one")
    assert done.code == 0, done.err
    return made


@pytest.fixture
def answered(one_turn: Repo, tmp_path: Path, env: dict[str, str]) -> Repo:
    """A repository with one commit, and with the session `s` of one turn: `echo one`, by the shell."""
    return copy_of(one_turn, tmp_path / "repo", env)


@pytest.fixture(scope="session")
def one_gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """A clone with the hook `pre-push`, and the repository it pushes to; to be copied, not to be used."""
    folder = tmp_path_factory.mktemp("one-gate")
    repo = with_one_commit(folder)
    return made(repo, folder)


@pytest.fixture
def gate(one_gate: Gate, tmp_path: Path, env: dict[str, str]) -> Gate:
    """A clone on `main` with the hook `pre-push` and the reviewer `fake`, and the bare repository that it pushes to."""
    found = Gate(copy_of(one_gate.repo, tmp_path / "repo", env, "origin.git"), tmp_path / "origin.git")
    found.repo.git("remote", "set-url", "origin", str(found.origin))
    return found
