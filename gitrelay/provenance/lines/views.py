"""The pages of files in the site: `report` draws them, and here is worked out who wrote each line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.faults import GitError, Hangs
from gitrelay.ground.text import quote_path
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.provenance.lines import blame, files, saying
from gitrelay.provenance.lines.blame import Blamed
from gitrelay.provenance.lines.reviews import Reviews
from gitrelay.report.files import Stretch, View, page_of

LIMIT: Final = 20.0  # seconds that git may take for a page; in a terminal it has as long as it needs
LINES_MOST: Final = 20_000  # of a page: some 6 MB
FILES_MOST: Final = 500  # of an export: each takes git a fraction of a second, and more
_ROUNDS: Final = 4
_PLAIN: Final = (b"100644", b"100755")


class Blames:
    """As `report.files.Views` asks for it, for the files of HEAD."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: tuple[str, Mapping[str, str]] = ("", {})

    def commit(self) -> str:
        return self._ledger.repo.ref("HEAD^{commit}") or ""

    def pages(self) -> Mapping[str, str]:
        commit = self.commit()
        if commit != self._known[0]:
            self._known = commit, self._listed(commit)
        return self._known[1]

    def below(self, folder: Path, words: Sequence[str]) -> list[str]:
        """The files of the commit that `words` name from `folder`, and those below a folder that they name.

        Raises UsageError if one names none, or if they are more than FILES_MOST.
        """
        found: dict[str, None] = {}
        there = self.pages()
        for word in words:
            path = files.below(self._ledger.repo, folder, word, top=True)
            some = [one for one in there if path in (one, ".") or one.startswith(f"{path}/")]
            if not some:
                raise UsageError(
                    f"HEAD has no file {quote_path(word)}", hint="git ls-tree -r --name-only HEAD", code=Code.NO_FILE
                )
            found |= dict.fromkeys(some)
        if len(found) > FILES_MOST:
            raise UsageError(
                f"{len(found)} files are too many: at most {FILES_MOST} get a page",
                hint="name fewer with --file",
                code=Code.TOO_MANY,
            )
        return list(found)

    def view(self, path: str) -> View:
        commit = self.commit()
        try:
            file = files.opened(self._ledger.repo, self._ledger.repo.place, path, commit)
            if file.data.count(b"\n") > LINES_MOST:
                return View(path, commit, fault=f"It has more than {LINES_MOST:,} lines: git relay blame shows it.")
            with files.looking(self._ledger.repo, file, LIMIT) as looked:
                report = blame.blame(self._ledger, file, looked)
        except Hangs:
            return View(path, commit, fault=f"git was at work for more than {LIMIT:g} s: git relay blame shows it.")
        except UsageError as e:  # it is not text
            return View(path, commit, fault=f"{e}.")
        return self._view(path, commit, report)

    def _view(self, path: str, commit: str, report: blame.Report) -> View:
        texts = self._redacted([saying.text_of(one) for one in report.lines])
        verdicts = Reviews(self._ledger.repo, report.exchanges)
        stretches = []
        at = 0
        for (exchanges, words, reviews), some in groupby(report.lines, lambda one: _same(one, verdicts)):
            lines = list(some)
            end = at + len(lines)
            stretches.append(Stretch(at + 1, tuple(texts[at:end]), lines[0].kind, words, exchanges, reviews))
            at = end
        return View(path, commit, stretches, saying.summary(report.lines, report))

    def _listed(self, commit: str) -> dict[str, str]:
        if not commit:
            return {}
        try:
            rows = self._ledger.repo.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        except GitError:
            return {}
        parts = (row.partition(b"\t") for row in rows if row.startswith(_PLAIN))
        return {path: page_of(path) for path in (os.fsdecode(name) for _, _, name in parts)}

    def _redacted(self, texts: Sequence[str]) -> list[str]:
        """The lines without secrets; one that reaches over several leaves a mark in each of them."""
        redactor = self._ledger.state.redactor
        text = "\n".join(texts)
        for _ in range(_ROUNDS):  # the rest of a secret may be recognised only after its neighbour is gone
            pieces, at = [], 0
            for span in redactor.find(text):
                mark = f"[redacted:{span.rule}]"
                pieces += [text[at : span.start], mark, f"\n{mark}" * text.count("\n", span.start, span.end)]
                at = span.end
            if not pieces:
                break
            text = "".join([*pieces, text[at:]])
        return text.split("\n")


def _same(one: Blamed, verdicts: Reviews) -> tuple[tuple[Exchange, ...], str, tuple[Exchange, ...]]:
    words = saying.remarks(one) if one.exchanges else saying.REASONS[one.why or blame.Why.NOT_ADDED]
    return one.exchanges, words, verdicts.of_line(one.exchanges, one.line.commit.oid)
