"""What changed in the agents: `python tests/drift.py [NAME]...` asks npm for the newest version of each pinned one.

A version that is not the pinned one is installed next to it, in $GITRELAY_CLIS-newest, and goes through the conformance
suite of test_conformance_of_peers.py, with the scripted model and no account. A line for each agent: what is pinned,
what is newest, what passed. Exit code 1 if one does not pass.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parent
FETCH: Final = TESTS / "fetch_clis.sh"
_PIN: Final = re.compile(r"^ +([\w-]+)\) echo (\S+)@([\d.]+) ;;$", re.MULTILINE)
_NO_AGENT: Final = ("lefthook", "axe-core")


def pins(text: str) -> dict[str, tuple[str, str]]:
    """name -> (package, version), from the table of fetch_clis.sh."""
    return {name: (package, version) for name, package, version in _PIN.findall(text) if name not in _NO_AGENT}


def newest(package: str) -> str | None:
    """The version that npm calls the latest, None if it does not say."""
    done = subprocess.run(["npm", "view", package, "version"], capture_output=True, text=True, timeout=120)
    version = done.stdout.strip()
    return version if done.returncode == 0 and re.fullmatch(r"\d+(\.\d+)+", version) else None


def folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("GITRELAY_CLIS") or cache / "gitrelay-clis")


def install(name: str, package: str, pinned: str, version: str, place: Path) -> None:
    """The newest version of one agent in `place`; the others there are the pinned ones."""
    place.mkdir(parents=True, exist_ok=True)
    for other in folder().iterdir():
        if other.name != name and not (place / other.name).exists():
            (place / other.name).symlink_to(other)
    if (place / name).is_symlink():
        (place / name).unlink()
    script = FETCH.read_text().replace(f"{package}@{pinned}", f"{package}@{version}")
    subprocess.run(
        ["sh", "-c", script, "fetch_clis.sh", name], check=True, env={**os.environ, "GITRELAY_CLIS": str(place)}
    )


def conformance(name: str, place: Path) -> tuple[bool, str]:
    """(whether the cases of that agent pass with what is in `place`, the words of those that do not)."""
    cases = TESTS / "setup/test_conformance_of_peers.py"
    words = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", str(cases)]
    done = subprocess.run(
        [*words, "-k", f"real and {name.replace('-', ' and ')}"],
        cwd=TESTS.parent,
        env={**os.environ, "GITRELAY_CLIS": str(place), "GITRELAY_REQUIRE_CLIS": "1", "GITRELAY_SOAK": "1"},
        capture_output=True,
        text=True,
    )
    said = [line[2:].strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    return done.returncode == 0, "\n    ".join(said[:10]) or done.stdout[-500:]


def main(names: list[str]) -> int:
    table = pins(FETCH.read_text())
    unknown = [name for name in names if name not in table]
    if unknown:
        print(f"drift: unknown: {' '.join(unknown)} (known: {' '.join(table)})", file=sys.stderr)
        return 2
    code = 0
    for name in names or table:
        package, pinned = table[name]
        version = newest(package)
        if version is None or version == pinned:
            print(f"{name}: {pinned}, {'the newest' if version else 'npm does not say what is newest'}", flush=True)
            continue
        place = folder().with_name(f"{folder().name}-newest")
        install(name, package, pinned, version, place)
        passed, said = conformance(name, place)
        print(f"{name}: {pinned} is pinned, {version} {'passes' if passed else 'does not pass'}", flush=True)
        if not passed:
            print(f"    {said}", flush=True)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
