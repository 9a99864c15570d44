"""The rules of the matcher, one by one, on lines and exchanges made up for it."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelay.provenance.lines import again
from gitrelay.provenance.lines.additions import EDGE, Additions, brief, of_patch
from gitrelay.provenance.lines.evidence import Line, Match, Place, Source
from gitrelay.provenance.lines.matching import match, searched

PATH = b"f.py"
HEAD = ("def head_of_the_file():", "    first_value = 1")


def added(*lines: str, before: str = HEAD[-1], path: str = "f.py", removed: Sequence[str] = ()) -> Additions:
    """What an exchange adds behind the line `before`."""
    body = "".join(f"-{line}\n" for line in removed) + "".join(f"+{line}\n" for line in lines)
    head = f"@@ -2,{1 + len(removed)} +2,{1 + len(lines)} @@\n {before}\n"
    return of_patch(f"--- a/{path}\n+++ b/{path}\n{head}{body}".encode())


def source(what: Additions, at: int, *, applied: int | None = None, aside: bool = False, shared: int = -1) -> Source:
    return Source(at, at, what, applied, aside, frozenset({shared} - {-1}))


def told(
    texts: Sequence[str], sources: Sequence[Source], time: int | None = 100, later: Sequence[int] = ()
) -> dict[int, Match]:
    """The lines behind HEAD -> who wrote them; HEAD itself is older. Lines `later` came after the others."""
    data = [text.encode() for text in (*HEAD, *texts)]
    keys = [EDGE, *(brief(one).key for one in data), EDGE]
    times = [1, 1, *((time or 0) + 1 if i in later else time for i in range(len(texts)))]
    lines = [Line(brief(one), one, times[i], PATH, keys[i], keys[i + 2]) for i, one in enumerate(data)]
    return {i - 2: found for i, found in match(lines, sources, frozenset({PATH}), {}).items()}


BLOCK = ("def made_by_a_peer(value):", "    try:", "        return compute(value)", "    }", "")


def test_a_block_is_found_with_its_short_lines() -> None:
    assert told(BLOCK, [source(added(*BLOCK), 50)]) == {i: Match((0,)) for i in range(5)}


def test_an_exchange_after_the_commit_wrote_nothing_of_it() -> None:
    assert told(BLOCK, [source(added(*BLOCK), 101)]) == {}
    assert told(BLOCK, [source(added(*BLOCK), 101)], None) == {i: Match((0,)) for i in range(5)}


def test_moved_is_not_written() -> None:
    assert told(BLOCK, [source(added(*BLOCK, removed=[line + "  " for line in BLOCK]), 50)]) == {}


def test_of_several_with_the_same_text_all_are_named() -> None:
    both = [source(added(*BLOCK), 60), source(added(*BLOCK), 50)]
    assert told(BLOCK, both) == {i: Match((1, 0)) for i in range(5)}


def test_the_attempt_that_was_applied_wrote_it() -> None:
    tried = [source(added(*BLOCK), 50, aside=True), source(added(*BLOCK), 60, applied=70, aside=True)]
    assert told(BLOCK, tried) == {i: Match((1,)) for i in range(5)}
    late = [source(added(*BLOCK), 50, aside=True), source(added(*BLOCK), 60, applied=170, aside=True)]
    assert told(BLOCK, late)[0] == Match((0, 1))


def test_calls_at_the_same_time_in_one_tree_are_marked() -> None:
    first = source(added(BLOCK[0]), 50, shared=1)
    second = source(added(BLOCK[0], "    another_line = of(the_second)"), 60, shared=0)
    found = told([BLOCK[0], "    another_line = of(the_second)"], [first, second])
    assert found == {0: Match((0, 1), overlap=True), 1: Match((1,))}


def test_a_line_alone_in_another_file_says_nothing() -> None:
    line = "from somewhere import everything_of_it"
    elsewhere = source(added(line, path="g.py", before="other"), 50)
    data = [line.encode()]
    lines = [Line(brief(one), one, 100, PATH, EDGE, EDGE) for one in data]
    assert match(lines, [elsewhere], frozenset({PATH}), {b"g.py": frozenset()}) == {}


def test_a_block_that_is_still_in_the_other_file_was_copied() -> None:
    data = [text.encode() for text in BLOCK]
    keys = [EDGE, *(brief(one).key for one in data), EDGE]
    lines = [Line(brief(one), one, 100, PATH, keys[i], keys[i + 2]) for i, one in enumerate(data)]
    elsewhere = [source(added(*BLOCK, path="g.py"), 50)]
    assert set(match(lines, elsewhere, frozenset({PATH}), {b"g.py": frozenset()})) == set(range(5))
    assert match(lines, elsewhere, frozenset({PATH}), {b"g.py": frozenset(keys)}) == {}
    assert match(lines, elsewhere, frozenset({PATH}), {}) == {}


def test_a_line_that_was_split_or_joined_is_marked() -> None:
    one = "    result = assemble(first_part, second_part)"
    split = ["    result = assemble(", "        first_part,", "        second_part,", "    )"]
    assert told(split, [source(added(one), 50)]) == {i: Match((0,), reflowed=True) for i in range(4)}
    assert told([one], [source(added(*split), 50)]) == {0: Match((0,), reflowed=True)}
    assert told(split[:2], [source(added(one), 50)]) == {}


def test_a_changed_line_is_nobodys_and_what_is_around_it_stays() -> None:
    changed = [*BLOCK[:2], "        return compute(value + 1)", *BLOCK[3:]]
    found = told(changed, [source(added(*BLOCK), 50)], later=[2])
    assert 2 not in found and found[0] == found[1] == Match((0,))
    together = told(changed, [source(added(*BLOCK), 50)])
    assert together.keys() == {0}, "a short line next to it may have come with the change"


def test_what_came_back_is_told_only_if_it_is_a_whole() -> None:
    """A commit had the block, and the lines are of a later one: they were put in again, or are like it."""
    what = added(*BLOCK)
    log = [(60, "first"), (100, "second")]
    like = ("def of_a_person(value):", *BLOCK[1:2], "        return other(value)", *BLOCK[3:])
    for texts, count in ((BLOCK, 5), (like, 0)):
        data = [text.encode() for text in (*HEAD, *texts)]
        versions = {("first", PATH): [line.encode() for line in (*HEAD, *BLOCK)], ("second", PATH): data}
        keys = [EDGE, *(brief(one).key for one in data), EDGE]
        lines = [Line(brief(one), one, 100 if i > 1 else 1, PATH, *keys[i : i + 3 : 2]) for i, one in enumerate(data)]
        search = searched(lines, [source(what, 50)], frozenset({PATH}), {})
        search.held.setdefault(5, (Place(0, PATH, 3),))  # as if `}` had been given
        search.found.setdefault(5, Match((0,)))
        for brought in ("second", "first", ""):
            compared = again.to_look_at(search, ["old", "old", *[brought] * 5], log)
            assert bool(compared) == (brought != "first")
            gone = again.without_pieces(search, compared, versions)
            kept = [i for i in search.found if gone.get(i, 1) is not None and i > 1]
            assert len(kept) == (count if compared else len(search.found)), (texts, brought)
