"""The terminal recording that README shows: `git relay demo` on a terminal of 80 columns, as an SVG that plays once.

    python benchmarks/recording.py [screenshots/demo.svg]

Lines appear one after the other; who has animations off (prefers-reduced-motion) sees all of them at once. Object
ids are written as they were: they differ from run to run.
"""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helping import helped  # noqa: E402

from support.repo import sealed_environment  # noqa: E402
from support.terminal import SANE, Terminal  # noqa: E402

COLUMNS, LINE, CELL = 80, 19, 8.4  # cells; pixels of a line and of a cell at 14 px
LOOKS = {"1": "b", "32": "g", "31": "r", "2": "f", "36": "n"}
STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d8dee9; white-space: pre }
.b { font-weight: bold; fill: #fff } .g { fill: #8fbf7f } .r { fill: #e06c75 } .f { fill: #7f8794 } .n { fill: #7fb7c9 }
@media (prefers-reduced-motion: no-preference) { .l { opacity: 0; animation: s .01s forwards } }
@keyframes s { to { opacity: 1 } }
"""


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots/demo.svg"
    with tempfile.TemporaryDirectory() as folder:
        env = {**sealed_environment(Path(folder) / "home"), **SANE}
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        terminal = Terminal(["git-relay", "demo"], cwd=Path(folder), env=env, columns=COLUMNS)
        if terminal.end() != 0:
            raise SystemExit(terminal.text)
    target.write_text(svg(terminal.raw.decode().replace("\r", "").rstrip("\n").split("\n")), encoding="utf-8")


def svg(lines: list[str]) -> str:
    """The lines, with the colours of the terminal, as one picture."""
    width, height = round(COLUMNS * CELL) + 24, (len(lines) + 1) * LINE + 24
    rows, delay = [], 0.3
    for i, line in enumerate(["$ git relay demo", *lines]):
        bold = i == 0 or re.sub(r"\x1b\[[0-9;]*m", "", line).startswith("$ ")
        delay += 0.9 if bold and i else 0.25
        rows.append(
            f'<text class="l" style="animation-delay:{delay:.2f}s" x="12" y="{(i + 1) * LINE + 8}">'
            f"{''.join(_spans(line, bold and not i))}</text>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="git relay demo on a terminal">\n<style>{STYLE}</style>\n'
        f'<rect width="100%" height="100%" rx="8" fill="#20242c"/>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _spans(line: str, bold: bool) -> Iterator[str]:
    look = "b" if bold else ""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            look = LOOKS.get(part[2:-1], "")
        elif part:
            text = html.escape(part)
            yield f'<tspan class="{look}">{text}</tspan>' if look else text


if __name__ == "__main__":
    helped(__doc__)
    main()
