"""The pictures in screenshots, of the site that `make_example` gives.

    python benchmarks/screenshots.py [FOLDER]

Needs Chromium and its driver, as tests/support/browser.py does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import make_example  # noqa: E402
from helping import helped  # noqa: E402

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


def shoot(browser: Browser, site: Path, target: Path) -> None:
    for name, (page, dark, phone, first) in SHOTS.items():
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


if __name__ == "__main__":
    helped(__doc__)
    main()
