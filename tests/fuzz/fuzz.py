"""Search for bytes that a target cannot bear, guided by coverage:

    pip install atheris
    python tests/fuzz/fuzz.py TARGET [SECONDS]

It begins with the seeds of the target, and adds to them what reached code that they did not. Bytes that a target could
not bear are printed; they become a seed too, with the mend.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

MAX = 2048  # bytes of one input


def main() -> int:
    from targets import TARGETS, keep, seeds

    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"{__doc__}\ntargets: {' '.join(TARGETS)}")
    target, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    with tempfile.TemporaryDirectory() as folder:
        known, found = Path(folder, "known"), Path(folder, "found")
        for path in (known, found):
            path.mkdir()
        for number, seed in enumerate(seeds(target)):
            (known / str(number)).write_bytes(seed)
        # a process of its own: libFuzzer does not give control back
        options = [f"-max_total_time={seconds}", f"-max_len={MAX}", "-timeout=10", f"-artifact_prefix={folder}/bad-"]
        words = [sys.executable, __file__, "--search", target, *options, str(found), str(known)]
        code = subprocess.run(words).returncode
        new = keep(target, [path.read_bytes() for path in found.iterdir()])
        for path in Path(folder).glob("bad-*"):
            print(f"{target} cannot bear {path.read_bytes()!r}")
    print(f"{target}: {new} seeds more")
    return code


def search() -> None:
    import atheris

    with atheris.instrument_imports(include=["gitrelay"]):
        from targets import TARGETS
    atheris.Setup([sys.argv[0], *sys.argv[3:]], TARGETS[sys.argv[2]])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        search()
    else:
        sys.exit(main())
