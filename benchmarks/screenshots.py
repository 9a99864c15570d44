"""The pictures in screenshots, of the site that `make_example` gives.

    python benchmarks/screenshots.py [FOLDER [all]]

With `all` also each kind of page, loops, attempts and questions too, in light, in dark and on a phone.
Needs Chromium and its driver, as tests/support/browser.py does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import make_example  # noqa: E402
from helping import helped  # noqa: E402

from support import drawn  # noqa: E402
from support.browser import PHONE, Browser, started  # noqa: E402

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
WINDOW = (1200, 860)
OPEN = """
const turn = document.getElementById('t-02');
for (const fold of turn.querySelectorAll('details')) fold.open = true;
turn.scrollIntoView();
"""
SHOTS = {  # picture: page, dark, phone, what is done first
    "index": ("index.html", False, False, ""),
    "search": ("index.html#verify=check", False, False, ""),
    "session": ("sessions/rule-errors.html", False, False, ""),
    "session-dark": ("sessions/rule-errors.html", True, False, OPEN),
    "figures": ("figures.html", False, False, ""),
    "mobile": ("sessions/store-review.html", False, True, ""),
    "mobile-index-dark": ("index.html", True, True, ""),
}

Shot = tuple[str, bool, bool, str]
PAGES = ("index.html", "index.html#group=peer", "index.html#attention=1", "figures.html")
KINDS = ("diffs", "work", "both", "asks")  # the sessions of support.drawn


def every(pages: Sequence[str]) -> dict[str, Shot]:
    """Each page in light, in dark and on a phone in both."""
    found: dict[str, Shot] = {}
    for page in pages:
        name = page.replace("sessions/", "").replace(".html", "").replace("#", "-").replace("=", "-")
        for dark in (False, True):
            for phone in (False, True):
                found[f"{name}-{'phone-' if phone else ''}{'dark' if dark else 'light'}"] = (page, dark, phone, "")
    return found


def shoot(browser: Browser, site: Path, target: Path, shots: Mapping[str, Shot] = SHOTS) -> None:
    for name, (page, dark, phone, first) in shots.items():
        browser.open("about:blank")
        browser.size(PHONE if phone else WINDOW)
        browser.dark(dark)
        browser.open(f"{site.as_uri()}/{page}")
        browser.run(first)
        browser.driver.save_screenshot(str(target / f"{name}.png"))
        print(target / f"{name}.png", f"{(target / f'{name}.png').stat().st_size:,} bytes")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    target.mkdir(parents=True, exist_ok=True)
    os.environ["TZ"] = "UTC"
    with tempfile.TemporaryDirectory() as folder:
        repository, site = Path(folder, "mailsort"), Path(folder, "site")
        make_example.make(repository)
        subprocess.run([GIT_RELAY, "export", "-o", site], cwd=repository, check=True)
        with started(Path(folder, "profile")) as browser:
            shoot(browser, site, target)
            if sys.argv[2:] == ["all"]:
                shoot(browser, site, target, every(PAGES))
                repository, site = Path(folder, "drawn"), Path(folder, "kinds")
                drawn.written().write(repository, os.environ)
                subprocess.run([GIT_RELAY, "export", "-o", site], cwd=repository, check=True)
                shoot(browser, site, target, every([f"sessions/{kind}.html" for kind in KINDS]))


if __name__ == "__main__":
    helped(__doc__)
    main()
