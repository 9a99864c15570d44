"""How long randomised tests go on: a bounded number by default, hundreds under GITRELAY_SOAK=1 (`nox -s soak`)."""

from __future__ import annotations

import os
from typing import Final

SOAK: Final = os.environ.get("GITRELAY_SOAK", "") not in ("", "0")


def rounds(usual: int, soak: int) -> int:
    """How often a test tries: `usual`, or `soak` if it has hours."""
    return soak if SOAK else usual
