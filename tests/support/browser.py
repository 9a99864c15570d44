"""Debian's Chromium, headless, for tests of the pages: found, or the test is skipped aloud.

Everything that could reach the network is off, and the profile is a folder of the test's own. The console and
the network log of the browser are kept: `Browser.violations` is what a page's policy refused, `Browser.requested`
every address it asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)
DESKTOP = (1280, 900)
PHONE = (390, 844)


def require() -> tuple[str, str]:
    """(chromium, chromedriver); skips the test where one is missing, fails it under GITRELAY_REQUIRE_BROWSER=1."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if found[0] and found[1]:
        return found[0], found[1]
    message = "chromium or chromedriver not found: apt-get install chromium chromium-driver"
    if os.environ.get("GITRELAY_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True)
class Browser:
    """A running browser with one window."""

    driver: webdriver.Chrome

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *words: object) -> Any:
        """What a script of the test's own returns; the page's policy does not hold for it."""
        return self.driver.execute_script(script, *words)

    def texts(self, selector: str) -> list[str]:
        """The visible text of every element that `selector` finds."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector
        )
        return found

    def press(self, keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(keys).perform()

    def type(self, selector: str, text: str) -> None:
        box = self.driver.find_element("css selector", selector)
        box.clear()
        box.send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        script = "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        self.run(f"{script} e.dispatchEvent(new Event('input'))", selector, value)

    def size(self, size: tuple[int, int]) -> None:
        """The size of the page's own area, as on a device of that size."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600},
        )

    def dark(self, wanted: bool) -> None:
        """What the system prefers."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def console(self) -> list[str]:
        """What was written to the console since the last look: errors, and what a policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requested(self) -> list[str]:
        """Every address that was asked for since the last look, data: and all."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]  # type: ignore[no-untyped-call]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]


ENTER, ESCAPE = Keys.ENTER, Keys.ESCAPE


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """A browser with the profile folder `profile`; it is ended at the end."""
    chromium, driver = require()
    options = Options()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # the path of the driver is given, so selenium looks for none and fetches none
    with webdriver.Chrome(options=options, service=Service(executable_path=driver)) as running:
        browser = Browser(running)
        browser.size(DESKTOP)
        yield browser
