"""Where the checkout's parts lie, so that no test counts the folders above it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent.parent
ROOT: Final = TESTS.parent  # of the checkout
CONFORMANCE: Final = TESTS / "conformance"  # files that the original Relay v4 generator wrote
FAKE_PEER: Final = TESTS / "support/fake_peer.py"  # a program; its first word says how it behaves
INJECT: Final = TESTS / "faults/inject"  # first on PYTHONPATH: aborts a process at a chosen write
