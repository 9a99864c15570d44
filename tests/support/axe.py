"""axe-core's rules of accessibility, for pages in the tests' browser: found, or the test is skipped aloud."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.browser import Browser

_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations'], ...arguments[0]}).then(
  found => done(found.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))])),
  wrong => done([['critical', 'axe did not run', [String(wrong)]]]));
"""


def require() -> str:
    """The script; skips the test where it is missing, fails it under GITRELAY_REQUIRE_BROWSER=1."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("GITRELAY_CLIS") or cache / "gitrelay-clis")
    try:
        return (folder / "axe-core/node_modules/axe-core/axe.min.js").read_text("utf-8")
    except FileNotFoundError:
        message = "axe-core not found: run tests/fetch_clis.sh axe-core"
    if os.environ.get("GITRELAY_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


def violations(browser: Browser, script: str, *rules: str) -> list[list[object]]:
    """[impact, rule, some elements] for each of `rules`, or of all, that the open page does not keep."""
    if not browser.run("return Boolean(window.axe)"):
        browser.run(script)
    browser.driver.set_script_timeout(120)
    found: list[list[object]] = browser.driver.execute_async_script(_RUN, {"runOnly": list(rules)} if rules else {})
    return found
