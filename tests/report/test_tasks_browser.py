"""The ten tasks of docs/tasks.md in a real Chromium: from the index, by clicks and keys, which are counted."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from selenium.webdriver.common.keys import Keys

from support.browser import Browser, require, started
from support.tasks import make, tasks
from support.waiting import eventually
from support.website import Site, served

TASKS = tasks()


@dataclass
class Hand:
    """A person's hand: what it clicks and types is counted."""

    browser: Browser
    clicks: int = 0
    keys: int = 0

    def click(self, path: str) -> None:
        self.browser.driver.find_element("xpath", path).click()
        self.clicks += 1

    def choose(self, list_: str, value: str) -> None:
        """A click that opens the list and one on the choice; the driver makes both of them by the second."""
        self.browser.driver.find_element("xpath", f"//select[@id='{list_}']/option[@value='{value}']").click()
        self.clicks += 2

    def type(self, *keys: str) -> None:
        for key in keys:
            self.browser.press(key)
            self.keys += 1

    def sees(self, selector: str, *words: str) -> bool:
        """Whether the visible text of what `selector` finds comes to have all of these words."""
        return eventually(lambda: all(word in "\n".join(self.browser.texts(selector)) for word in words))

    def mark(self, session: str, turn: int) -> str:
        """The mark of a turn in the row of its session."""
        return f"//tr[.//a[@class='name' and text()='{session}']]//div[@class='strip']/a[{turn}]"


def asked_last(hand: Hand) -> None:
    assert hand.sees(".session:first-child", "both", "Do it.")
    marks = "return document.querySelector('.session .strip a').title"
    assert hand.browser.run(marks).endswith(": pass")


def broke_the_test(hand: Hand) -> None:
    hand.click(hand.mark("auth", 2))
    assert hand.sees("#t-02 .turnhead", "check-failed, claimed pass")


def was_wrong(hand: Hand) -> None:
    hand.choose("verify", "refuted")
    week = datetime.date.today() - datetime.timedelta(days=7)
    hand.type(Keys.TAB, *week.strftime("%m%d%Y"))
    assert hand.browser.run("return [document.activeElement.id, document.activeElement.value]") == [
        "since",
        week.isoformat(),
    ]
    assert hand.sees("#found", "in 1 session") and hand.sees(".hits", "02")
    assert hand.sees(".session .who", "shell")


def what_it_printed(hand: Hand) -> None:
    hand.click(hand.mark("auth", 2))
    hand.click("//article[@id='t-02']//details[contains(@class, 'check')]/summary")
    assert hand.sees("#t-02 .check", "AssertionError: 3")


def what_it_changed(hand: Hand) -> None:
    hand.click(hand.mark("auth", 2))
    hand.click("//article[@id='t-02']//details[@class='file']/summary")
    assert hand.sees("#t-02 .changes", "broken.txt", "+1", "broken")


def the_lock(hand: Hand) -> None:
    hand.type("/", *"lock")
    assert hand.sees("#found", "in 1 session") and hand.sees("#sessions", "talk", "The lock is taken twice.")


def the_better_one(hand: Hand) -> None:
    hand.click("//a[@class='name' and text()='both']")
    assert hand.sees(".side:nth-child(1)", "both-one/01") and hand.sees(
        ".side:nth-child(2)", "both-two/01", "picked", "+0"
    )


def waits_for_me(hand: Hand) -> None:
    assert hand.sees("#questions", "Waiting for an answer", "ask/01")


def what_it_cost(hand: Hand) -> None:
    hand.click("//nav/a[text()='Figures']")
    assert hand.sees(".figuretable", "cost", "shell", "asker")


WAYS: dict[int, Callable[[Hand], None]] = dict(
    enumerate(
        (
            asked_last,
            broke_the_test,
            was_wrong,
            what_it_printed,
            what_it_changed,
            the_lock,
            the_better_one,
            waits_for_me,
            what_it_cost,
        ),
        1,
    )
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require()
    repo = make(tmp_path_factory.mktemp("tasks"))
    # the first half of the seventh task, which is for the terminal
    two = ("--to", "one", "--to", "two", "--check", "test -e done", "--pick", "check", "--name", "both")
    assert repo.relay("req", *two, "Do it.").code == 0
    with served(repo) as site:
        yield site


def test_they_are_done_by_so_many_clicks_and_keys(
    live: Site, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = {}
    with started(tmp_path_factory.mktemp("profile")) as browser:
        for number, way in WAYS.items():
            browser.open(f"http://127.0.0.1:{live.port}/{live.token}/")
            assert eventually(lambda: len(browser.texts("#sessions a.name")) == 6)
            hand = Hand(browser)
            way(hand)
            counted[number] = (hand.clicks, hand.keys)
    with capsys.disabled():
        print("\nclicks and keys:", ", ".join(f"{n}: {clicks} + {keys}" for n, (clicks, keys) in counted.items()))
    said = {number: (task.clicks, task.keys) for number, task in TASKS.items() if task.clicks is not None}
    assert said == counted, "docs/tasks.md has other counts"
