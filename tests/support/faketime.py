"""Debian's faketime, which gives a process another clock. `require` skips a test where it is missing.

It fails the test instead under GITRELAY_REQUIRE_FAKETIME=1.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require(ahead: str) -> list[str]:
    """The words before a command whose clock is to be `ahead` (`+1d`, `-1d`); its monotonic clock stays."""
    found = shutil.which("faketime")
    if found is None:
        message = "faketime not found: apt-get install faketime"
        if os.environ.get("GITRELAY_REQUIRE_FAKETIME") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return [found, "--exclude-monotonic", "-f", ahead]
