"""How quick the exported index of 10,000 exchanges is in Chromium: to open, to search, to filter, to scroll.

    python benchmarks/index.py [RUNS] [FOLDER]

Times are the page's own, from the key to the frame that shows what was found; for searches they hold
the 120 ms for which the page waits for another key. Medians over RUNS, 7 by default. Without FOLDER, `make_history`
makes the repository, with up to 40,000 more words in its messages.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import make_history  # noqa: E402
from helping import helped  # noqa: E402

from support.browser import Browser, started  # noqa: E402

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
OPENED = """
const [n] = performance.getEntriesByType('navigation');
return [n.domInteractive, performance.getEntriesByName('first-contentful-paint')[0].startTime];
"""
CHANGE = """
const [id, value, done] = arguments;
const [box, found] = [document.getElementById(id), document.getElementById('found')];
const begin = performance.now();
const look = new MutationObserver(() => {
  look.disconnect();
  requestAnimationFrame(() => setTimeout(() => done([performance.now() - begin, found.textContent])));
});
look.observe(found, { childList: true });
box.value = value;
box.dispatchEvent(new Event('input'));
"""
MORE = """
const done = arguments[0];
const begin = performance.now();
document.getElementById('more').click();
requestAnimationFrame(() => setTimeout(() => done([performance.now() - begin, ''])));
"""
STEPS = (
    ("first search: a common word", "q", "parser"),
    ("search: one letter more", "q", "parser."),
    ("search: a rare word", "q", "bonna"),
    ("search: a letter", "q", "a"),
    ("search: three words", "q", "lock alias crash"),
    ("filter: errors", "status", "error"),
    ("filter: and a peer", "peer", "gemini"),
)


def measure(browser: Browser, url: str, runs: int) -> None:
    times: dict[str, list[float]] = {}
    says: dict[str, str] = {}
    browser.driver.set_script_timeout(60)
    for run in range(-1, runs):
        browser.open("about:blank")
        browser.open(url)
        interactive, painted = browser.run(OPENED)
        steps = [("open: scripts have run", interactive, ""), ("open: painted", painted, "")]
        for name, box, value in STEPS:
            if box == "status":
                browser.driver.execute_async_script(CHANGE, "q", "")
            steps.append((name, *browser.driver.execute_async_script(CHANGE, box, value)))
        steps.append(("60 sessions more", *browser.driver.execute_async_script(MORE)))
        for name, ms, text in steps:
            if run >= 0:  # the first one warms the caches
                times.setdefault(name, []).append(ms)
                says[name] = text
    for name, values in times.items():
        print(f"{name:32}{statistics.median(values):7.0f} ms   at most {max(values):5.0f} ms   {says[name]}")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as temporary:
        folder, site = Path(temporary, "repository"), Path(temporary, "site")
        if len(sys.argv) > 2:
            folder = Path(sys.argv[2]).absolute()
        else:
            make_history.make(folder, sessions=500, exchanges=20, words=40_000)
        subprocess.run([GIT_RELAY, "export", "-o", site], cwd=folder, check=True)
        print(f"index.html: {(site / 'index.html').stat().st_size / 1e6:.1f} MB")
        with started(Path(temporary, "profile")) as browser:
            measure(browser, (site / "index.html").as_uri(), runs)


if __name__ == "__main__":
    helped(__doc__)
    main()
