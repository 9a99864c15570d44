"""What a reader is told of a session before its turns, and the marks by which a claim is told from what was seen."""

from __future__ import annotations

import re

from support.repo import Repo

WHO = ("req", "--from", "uma", "--to", "shell", "--session")


def test_a_session_begins_with_an_overview(repo: Repo) -> None:
    for words, code in (
        (("s", "printf 'a\\nb\\n' > new.txt"), 0),
        (("s", "--check", "test -e new.txt", "printf 'c\\n' >> new.txt; rm app.py"), 0),
        (("s", "--check", "false", "sed -i 1d new.txt"), 1),
        (("claimed", "true"), 0),
    ):
        assert repo.relay(*WHO, *words).code == code
    assert repo.relay("export", "-o", "../site").code == 0
    site = repo.path.parent / "site"
    page = (site / "sessions/s.html").read_text()
    overview = re.sub(r"<[^>]+>|\s+", " ", page.partition('<dl class="overview">')[2].partition("</dl>")[0])
    overview = " ".join(overview.split())
    assert overview.startswith("asked first printf")
    assert "check-failed, claimed pass" in overview and "1 of 2 passed" in overview
    assert "changed over all turns 2 files +2 -1" in overview.replace("&minus;", "-"), overview
    assert re.findall(r'<span class="dot (\w+)"', page) == ["claim", "good", "bad"]
    assert "○" in page and "✓" in page
    assert 'class="badge claim"' in (site / "sessions/claimed.html").read_text()
    assert "<div class=add data-n=1>+a" in page and "<div class=del data-o=1>-a" in page
