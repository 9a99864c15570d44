"""What git said of the lines of a file is kept, given back as it was, and not believed if it is damaged."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

import pytest

from gitrelay.ledger.ledger import open_ledger
from gitrelay.provenance.lines import blame, files, kept
from gitrelay.provenance.lines.blame import Report
from support.histories import FILE, History
from support.kinds import rebase


def told(folder: Path) -> Report:
    ledger = open_ledger(folder)
    file = files.opened(ledger.repo, folder, FILE, None)
    with files.looking(ledger.repo, file) as looked:
        return blame.blame(ledger, file, looked)


def test_a_second_look_tells_the_same_and_a_damaged_one_is_made_again(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "HOME"):
        monkeypatch.setenv(name, env[name])
    history = History(random.Random(5))
    history.start()
    rebase(history)
    folder = tmp_path / "repo"
    history.write(folder, env)
    first = told(folder)
    (place,) = (folder / ".git/relay" / kept.FOLDER).iterdir()
    good = place.read_bytes()
    data = (folder / FILE).read_bytes()
    assert (looked := kept.read(place, data)) and looked.lines == [one.line for one in first.lines]
    assert told(folder) == first and place.read_bytes() == good
    value = json.loads(zlib.decompress(good))
    assert history.files[FILE][0][0] not in str(value) or len(history.files[FILE][0][0]) < 4  # no text
    commit, *others = value["commits"]
    for bad in (
        {**value, "version": 0},
        {**value, "runs": value["runs"][1:]},
        {**value, "runs": [[99, 0, 1, 99]]},
        {**value, "commits": [[commit[0], "now", *commit[2:]], *others]},
        {**value, "around": [[0, -1, 2]]},
        {**value, "around": [["0", 1, 2]]},
        [1],
    ):
        place.write_bytes(zlib.compress(json.dumps(bad).encode()))
        assert kept.read(place, data) is None
        assert told(folder) == first
    for junk in (b"", b"no zlib", good[:-5], zlib.compress(b"[" * 100_000)):
        place.write_bytes(junk)
        assert kept.read(place, data) is None
    place.write_bytes(good)
    assert kept.read(place, data + b"one more\n") is None
    (folder / FILE).write_bytes(b"a line of no commit\n" + data)
    assert [one.line.commit.oid for one in told(folder).lines][:2] == ["", first.lines[0].line.commit.oid]
    place.unlink()
    place.symlink_to(tmp_path / "elsewhere")
    assert kept.read(place, data) is None
