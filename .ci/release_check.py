"""Whether this commit can be released: tag, version, plugin manifest, skills, changelog and wheel say the same.

    python .ci/release_check.py [WHEEL]

Exit 0 if they do; else each difference is one line, and the exit code is 1. Without WHEEL one is built.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# what an installed gitrelay needs besides its modules: (in the checkout, in the wheel)
SHIPPED = (
    ("skills", "gitrelay/skills"),
    ("hooks", "gitrelay/hooks"),
    ("docs", "gitrelay/docs"),
    ("gitrelay/setup/completions", "gitrelay/setup/completions"),
)


def version() -> str:
    """The version, from the only place that has it."""
    found = re.search(r'^__version__ = "([^"]+)"$', (ROOT / "gitrelay/__init__.py").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def copies() -> Iterator[tuple[str, str | None]]:
    """(where, which version it names) of every file that has to repeat the version."""
    yield ".claude-plugin/plugin.json", json.loads((ROOT / ".claude-plugin/plugin.json").read_text()).get("version")
    for skill in sorted(ROOT.glob("skills/*/relay/SKILL.md")):
        found = re.search(r'^ *gitrelay: "([^"]+)"$', skill.read_text(), re.MULTILINE)
        yield str(skill.relative_to(ROOT)), found[1] if found else None
    page = (ROOT / "docs/git-relay.1").read_text().partition("\n")[0]
    found = re.search(r'"gitrelay ([^"]+)"', page)
    yield "docs/git-relay.1", found[1] if found else None
    found = re.search(r"^## \[([0-9][^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    yield "CHANGELOG.md (its newest version)", found[1] if found else None


def tags() -> list[str]:
    """The release tags on this commit."""
    done = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [tag for tag in done.stdout.split() if tag.startswith("v")]


def differences(wheel: Path) -> Iterator[str]:
    """What keeps this commit from being released, one line each."""
    own = version()
    for where, named in copies():
        if named != own:
            yield f"{where} says {named}, gitrelay/__init__.py says {own}"
    for tag in tags():
        if tag != f"v{own}":
            yield f"tag {tag} is not v{own}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{own}"
    if not wheel.name.startswith(f"{stem}-"):
        yield f"the wheel is {wheel.name}, not {stem}-*.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for source, target in SHIPPED:
            for path in sorted((ROOT / source).rglob("*")):
                name = f"{target}/{path.relative_to(ROOT / source).as_posix()}"
                if path.is_file() and "__pycache__" not in path.parts:
                    if name not in names:
                        yield f"the wheel has no {name}"
                    elif archive.read(name) != path.read_bytes():
                        yield f"{name} in the wheel is not {source}'s"
        modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gitrelay").rglob("*.py")}
        yield from (f"the wheel has no {name}" for name in sorted(modules - names))
        strange = {name.partition("/")[0] for name in names} - {"gitrelay", f"{stem}.dist-info", f"{stem}.data"}
        yield from (f"the wheel holds {name}/, which is none of ours" for name in sorted(strange))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            wheel = Path(sys.argv[1])
        else:
            words = [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", folder, str(ROOT)]
            subprocess.run(words, check=True)
            (wheel,) = Path(folder).glob("*.whl")
        found = list(differences(wheel))
    for line in found:
        print(line)
    print("release check: " + (f"{len(found)} differences" if found else f"{version()} can be released"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
