"""The contributor's commands. `nox -l` lists them; each runs in the environment that nox runs in, with `.[dev]` in it:

    python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'
    .venv/bin/nox -s fast                     # under a minute on two idle cores: `pytest -m fast`
    .venv/bin/nox -s tests -- tests/gate      # what stands behind -- goes to pytest

No session makes an environment of its own, so none needs the network. The tests that are `fast` are marked so; a test
holds that each package has one. Randomised tests and those that kill processes try a few times in `tests`, and hundreds
of times in `soak`; if values of several kinds meet, `tests` tries each value and `soak` each combination. The docstring
of each module says so. Limits of tests grow with the load of the machine, or by GITRELAY_TEST_PATIENCE.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["fast", "types", "lint"]

PYTHON = sys.executable
SOAK = ("faults", "ledger", "redact", "protocol", "provenance", "history", "process", "peers", "git", "setup")


@nox.session
def fast(session: nox.Session) -> None:
    """A test of everything, in under a minute."""
    session.run(PYTHON, "-m", "pytest", "-m", "fast", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; those of real agent CLIs, browsers and servers skip aloud if these are missing."""
    session.run(PYTHON, "-m", "pytest", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """The randomised tests and the kill tests, and every combination; GITRELAY_TEST_SEED sets another seed."""
    folders = [f"tests/{name}" for name in SOAK]
    session.run(PYTHON, "-m", "pytest", *(session.posargs or folders), env={"GITRELAY_SOAK": "1"})


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on package, tests and benchmarks, and the directions of imports."""
    session.run(PYTHON, "-m", "mypy")
    session.run(str(Path(PYTHON).with_name("lint-imports")), external=True)


@nox.session
def site(session: nox.Session) -> None:
    """The documents as a site in build/docs; every warning is an error."""
    session.run(PYTHON, "-m", "sphinx", "-W", "--keep-going", "-n", "-c", ".ci/docs", "docs", "build/docs")


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format."""
    session.run(PYTHON, "-m", "ruff", "check", ".")
    session.run(PYTHON, "-m", "ruff", "format", "--check", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """The man page from the help, and the tests that hold README, help and docs to the program."""
    Path("docs/verbs.md").write_text(str(session.run(PYTHON, "-m", "gitrelay.cli.verbspage", silent=True)))
    page = session.run(PYTHON, "-m", "gitrelay.cli.manpage", silent=True)
    Path("docs/git-relay.1").write_text(str(page))
    session.run(PYTHON, "-m", "pytest", "tests/cli/test_docs.py", "tests/cli/test_manpage.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks in pairs, as one table; -- --quick, --json FILE, --compare FILE, --docs, names of suites."""
    session.run(PYTHON, "benchmarks/bench.py", *session.posargs)


@nox.session
def ci(session: nox.Session) -> None:
    """The gate: everything that must hold before a change lands. It installs Debian packages, so it needs root."""
    session.run("bash", ".ci/run", external=True)


@nox.session
def drift(session: nox.Session) -> None:
    """What the newest versions of the agents in npm change: `peers test` on each that is not the pinned one.

    `nox -s drift -- qwen copilot` looks at these only. It needs the network, and a gigabyte for what is new.
    """
    session.run(PYTHON, "tests/drift.py", *session.posargs)


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Whether tag, version, plugin manifest, skills, man page, changelog and wheel fit together."""
    session.run(PYTHON, ".ci/release_check.py", *session.posargs)
