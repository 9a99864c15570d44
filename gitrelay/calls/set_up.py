"""`relay.setup`: a command of the user's own that gets a new workspace ready, as `npm ci` or `uv sync` do.

It is read from git config only. It runs before the files are recorded, so what it makes is not the peer's doing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

from gitrelay import environment
from gitrelay.calls import settings
from gitrelay.errors import CannotRecord, RelayError
from gitrelay.ground.text import ending, quote_path
from gitrelay.ledger.ledger import Ledger
from gitrelay.workspace import workspace
from gitrelay.workspace.place import Note


def run(ledger: Ledger, note: Note) -> None:
    """Run `relay.setup` in a new workspace, for as long as a check may take.

    Raises CannotRecord if it fails; the workspace is removed then. Its output is in `logs/SESSION.setup`.
    """
    command = ledger.repo.setting("relay.setup")
    if not command:
        return
    from gitrelay.process import kill
    from gitrelay.process.log import Log

    env = environment.for_peer(os.environ, {"GITRELAY_CALLER_TOP": note.top})
    path = ledger.state.root / "logs" / f"{note.session}.setup"
    # not with process.child, which ends all descendants: the supervisor of this call waits among them
    started = subprocess.Popen(
        ["sh", "-c", command],
        cwd=note.path,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    failed = ""
    try:
        out, _ = started.communicate(timeout=settings.check_limit(ledger.repo))
        failed = ending(started.returncode) if started.returncode else ""
    except subprocess.TimeoutExpired:
        kill.end_family(started.pid)
        out, _ = started.communicate()
        failed = "it took longer than relay.checkTimeout"
    except BaseException:  # Ctrl-C
        kill.end_family(started.pid)
        started.wait()
        _remove(ledger, note)
        raise
    log = Log(path, ledger.redactor)
    log.write(out)
    log.close()
    if failed:
        _remove(ledger, note)
        raise CannotRecord(f"relay.setup failed in the workspace: {failed}", hint=f"its output: {quote_path(path)}")


def _remove(ledger: Ledger, note: Note) -> None:
    with contextlib.suppress(RelayError):
        workspace.remove(ledger.repo, ledger.state, note.session)
