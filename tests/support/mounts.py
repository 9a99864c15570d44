"""Folders that cannot be written, also by root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def mount_read_only(path: Path) -> bool:
    """A read-only bind mount, where this machine lets the tests make one."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    bound = subprocess.run(["mount", "--bind", path, path], capture_output=True, timeout=20).returncode == 0
    if not bound:
        return False
    if subprocess.run(["mount", "-o", "remount,ro,bind", path], capture_output=True, timeout=20).returncode == 0:
        return True
    subprocess.run(["umount", path], check=True, timeout=20)
    return False
