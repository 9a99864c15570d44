"""More kinds of histories: merges, strange bytes and trees, look-alikes, what comes back, calls at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from support.histories import FILE, WORDS, History, Owned
from support.recorded import GITLINK


def merge_with_conflict(h: History) -> str:
    """Both sides change the same lines; the merge takes some of each, and has a line of its own."""
    base = h.copy()
    at = h.chance.randint(3, 20)

    def change(owner: str | None) -> list[Owned]:
        lines = [(h.unique(), owner) for _ in range(4)]
        h.files[FILE][at : at + 4] = lines
        return lines

    sides: list[list[Owned]] = []
    h.exchange("s", lambda a: sides.append(change(a)))
    h.commit("on the branch", branch="side", begin="main")
    h.files = base
    sides.append(change(None))
    h.commit("on main")
    h.files[FILE][at : at + 4] = [*sides[0][:3], (h.unique() + "  # settled", None), *sides[1][1:]]
    h.commit("merged", merged="side")
    return FILE


def overlapping(h: History) -> str:
    """Two calls at once in one tree: what the first one wrote is in the trees of both."""
    h.exchanges_at_once("a", "b", [lambda a: _append(h, "a/01|b/01"), lambda a: _append(h, a)])
    h.commit()
    h.some(None)
    h.commit()
    return FILE


def _append(h: History, owner: str | None) -> None:
    h.files[FILE] += [(h.unique(), owner) for _ in range(3)]


def copied_elsewhere(h: History) -> str:
    """A person copies a block of the peer's into another file, and it stays where it was."""
    at, count = _inserted(h, "s", 6)
    h.commit()
    copied = [(text, None) for text, _ in h.files[FILE][at : at + count]]
    h.files["src/copy.py"] = [("# copied, by hand", None), *copied, (h.unique(), None)]
    h.commit()
    return "src/copy.py"


def _inserted(h: History, session: str, least: int) -> tuple[int, int]:
    places: list[tuple[int, int]] = []
    h.exchange(session, lambda a: places.append(h.insert(a, least=least, most=least + 6)))
    return places[0]


def split_file(h: History) -> str:
    """A peer moves half of a person's file into a new one, and adds to it."""

    def work(owner: str) -> None:
        lines = h.files[FILE]
        h.files["src/half.py"] = [(h.unique(), owner), *lines[15:], (h.unique(), owner)]
        del lines[15:]

    h.exchange("s", work)
    h.commit()
    return "src/half.py"


def _function(h: History, owner: str | None) -> list[Owned]:
    h.serial += 1
    lines = (
        f"def {h.chance.choice(WORDS)}_{h.serial}(value):",
        "    try:",
        f"        return {h.serial}_000 + value",
        "    except ValueError:",
        "        return None",
        "",
        "",
    )
    return [(text, owner) for text in lines]


def never_merged(h: History) -> str:
    """What a peer did is thrown away; a person writes something that looks like it."""
    base = h.copy()
    h.exchange("s", lambda a: h.files[FILE].extend(_function(h, a) + _function(h, a)))
    h.files = base
    h.files[FILE] += _function(h, None)
    h.commit()
    h.files[FILE] += _function(h, None)
    h.commit()
    return FILE


def written_again(h: History) -> str:
    """A peer's function is removed, and a person writes another one in its place."""
    at = len(h.files[FILE])
    h.exchange("s", lambda a: h.files[FILE].extend(_function(h, a)))
    h.commit()
    del h.files[FILE][at:]
    h.commit("remove")
    h.files[FILE] += _function(h, None)
    h.commit()
    return FILE


def table(h: History) -> str:
    """Records that differ in one line each, by a peer and a person in turn."""

    def record(owner: str | None) -> list[Owned]:
        h.serial += 1
        lines = (
            "    {",
            f'        "name": "{h.chance.choice(WORDS)}-{h.serial}",',
            '        "kind": "plain",',
            "    },",
        )
        return [(text, owner) for text in lines]

    h.files["data.json"] = [("[", None), *record(None), ("]", None)]
    h.commit()
    for n in range(6):

        def work(owner: str | None) -> None:
            h.files["data.json"][-1:-1] = record(owner)

        if n % 2:
            work(None)
            h.commit()
        else:
            h.exchange("s", work)
            if h.chance.random() < 0.5:
                h.commit()
    h.commit()
    return "data.json"


def sorted_lines(h: History) -> str:
    """A person sorts imports, those of the peer and older ones."""
    h.files[FILE][0:0] = [(f"import {word}_tools", None) for word in WORDS[:5]]
    h.commit()

    def work(owner: str) -> None:
        h.files[FILE][5:5] = [(f"import {word}_more_{h.serial}", owner) for word in h.chance.sample(WORDS, 5)]

    h.exchange("s", work)
    h.commit()
    h.files[FILE][:10] = sorted(h.files[FILE][:10])
    h.commit("sort")
    return FILE


def commented_out(h: History) -> str:
    """A peer comments a person's lines out; the person takes some back, which is the person's text again."""
    lines = h.files[FILE]
    places = [i for i, (text, _) in enumerate(lines) if len(text) > 12][:6]

    def work(owner: str) -> None:
        for i in places:
            h.files[FILE][i] = ("# off: " + h.files[FILE][i][0], owner)

    h.exchange("s", work)
    h.commit()
    for i in places[:2]:
        h.files[FILE][i] = (h.files[FILE][i][0].removeprefix("# off: "), None)
    h.commit()
    return FILE


def other_bytes(h: History) -> str:
    """Lines that are no UTF-8, that are wide, or very long."""

    def lines(owner: str | None) -> list[Owned]:
        h.serial += 1
        n = h.serial
        return [
            (f"name_{n} = 'gr\udcfcn {n}'", owner),
            (f"# 日本語の行 {n} \u00e9\u0301", owner),
            (f"long_{n} = [{', '.join(str(i * n) for i in range(900))}]", owner),
            ("\x0c", owner),
        ]

    h.files[FILE][10:10] = lines(None)
    h.commit()
    h.exchange("s", lambda a: h.files[FILE].extend(lines(a)))
    h.commit()
    h.files[FILE][4:4] = lines(None)
    h.commit()
    return FILE


def submodule(h: History) -> str:
    """There is a submodule, which moves on."""
    h.others = {".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n', "lib": GITLINK + "1" * 40}
    h.commit("add a submodule")

    def work(owner: str) -> None:
        h.some(owner)
        h.others["lib"] = GITLINK + "2" * 40

    h.exchange("s", work)
    h.commit()
    return FILE


def renamed_and_edited(h: History) -> str:
    """A peer, or a person after it, gives the file another name and changes most of it."""

    def move(owner: str | None, path: str, count: int) -> None:
        lines = h.files.pop(next(name for name in h.files if name != "README"))
        places = h.chance.sample(range(len(lines)), min(count, len(lines)))
        h.files[path] = [(h.unique(), owner) if i in places else line for i, line in enumerate(lines)]

    h.exchange("s", h.some)
    h.commit()
    h.exchange("s", lambda a: move(a, "src/second.py", 20))
    if h.chance.random() < 0.5:
        h.commit()
    move(None, "src/third.py", 12)
    h.commit()
    return "src/third.py"


def put_back_by_another(h: History) -> str:
    """What a peer wrote is removed, and another peer puts it back as it was: both added that text."""
    at, count = 12, 5
    block: list[str] = [h.unique() for _ in range(count)]
    h.exchange("s", lambda a: _put(h, at, [(text, a) for text in block]))
    h.commit()
    del h.files[FILE][at : at + count]
    h.commit("remove")
    h.exchange("t", lambda a: _put(h, at, [(text, f"s/01|{a}") for text in block]))
    h.commit()
    return FILE


def _put(h: History, at: int, lines: Sequence[Owned]) -> None:
    h.files[FILE][at:at] = lines


def kept_by_half(h: History) -> str:
    """A person keeps half of what a peer did, line by line, without a record of it."""
    base = h.copy()
    h.exchange("s", h.inserting(times=2, least=6))
    kept = [line for n, line in enumerate(h.files[FILE]) if line[1] is None or n % 2 or len(line[0]) < 12]
    h.files = base
    h.files[FILE] = kept
    h.commit()
    return FILE


def fixed_up(h: History) -> str:
    """Each exchange changes lines of the one before; all of it is one commit."""
    h.exchange("s", h.inserting(least=8, most=12))
    for _ in range(3):

        def work(owner: str) -> None:
            written = [i for i, (text, by) in enumerate(h.files[FILE]) if by and len(text) > 12]
            for i in h.chance.sample(written, 3):
                h.files[FILE][i] = (h.unique(), owner)

        h.exchange("st"[h.chance.randint(0, 1)], work)
    h.commit("squashed")
    return FILE


def in_parts(h: History) -> str:
    """What one exchange did is committed in two commits, the end of the file first."""
    base = h.copy()

    def work(owner: str) -> None:
        h.files[FILE][3:3] = [(h.unique(), owner) for _ in range(4)]
        h.files[FILE] += [(h.unique(), owner), ("}", owner), (h.unique(), owner)]

    h.exchange("s", work)
    whole = h.copy()
    h.files = base
    h.files[FILE] += whole[FILE][-3:]
    h.commit("second part")
    h.files = whole
    h.commit("first part")
    return FILE


def swapped(h: History) -> str:
    """Two files change their names with each other."""
    h.files["src/two.py"] = h.block(None, 20, 25)
    h.commit()
    h.exchange("s", h.some)
    h.exchange("s", h.inserting("src/two.py", times=2))
    h.commit()
    h.files[FILE], h.files["src/two.py"] = h.files["src/two.py"], h.files[FILE]
    h.commit("swap")
    return h.chance.choice((FILE, "src/two.py"))


def stripped(h: History) -> str:
    """White space at the ends of lines goes, tabs become blanks, blank lines are added."""
    h.files[FILE] = [(text + "  " * (n % 2), owner) for n, (text, owner) in enumerate(h.files[FILE])]
    h.commit()

    def work(owner: str) -> None:
        h.files[FILE][9:9] = [("\tif " + h.unique().strip() + ":\t", owner), ("\t\t" + h.unique().strip(), owner)]

    h.exchange("s", work)
    h.commit()
    h.files[FILE] = [(text.replace("\t", "    ").rstrip(), owner) for text, owner in h.files[FILE]]
    h.commit("strip")
    return FILE


def own_commits(h: History) -> str:
    """A peer commits while it works."""
    h.now += 60
    one = h.sessions["s"] = h.recorder.session("s", "claude", at=h.now)
    one.ask("claude", "codex", "do it, and commit", h.texts(), {"Relay-Head": "1" * 40})
    h.insert("s/01", least=4)
    h.commit("by the peer")
    h.insert("s/01", least=4)
    h.now += 60
    one.at = h.now
    one.answer("it is done", "done", "pass", h.texts(), seconds=0, trailers={"Relay-Head": "2" * 40})
    h.commit("the rest")
    return FILE


def line_ends_by_a_peer(h: History) -> str:
    """A peer changes all line ends and adds lines; a person changes them back."""
    h.some(None)
    h.commit()

    def work(owner: str) -> None:
        h.end = "\r\n"
        h.insert(owner, least=4)

    h.exchange("s", work)
    if h.chance.random() < 0.5:
        h.commit()
    h.end = "\n"
    h.commit("line ends")
    return FILE


def wrapped(h: History) -> str:
    """A person puts an `if` around a block of the peer's, and a peer one around a person's."""
    at, count = _inserted(h, "s", 5)
    h.commit()

    def wrap(owner: str | None, at: int, count: int) -> None:
        lines = h.files[FILE]
        inner = [("    " + text if text else text, by) for text, by in lines[at : at + count]]
        lines[at : at + count] = [(f"if {h.unique().strip()}:", owner), *inner]

    wrap(None, at, count)
    h.commit()
    h.exchange("t", lambda a: wrap(a, max(0, at - 6), 5) if at > 6 else wrap(a, len(h.files[FILE]) - 5, 5))
    h.commit()
    return FILE


def no_last_end(h: History) -> str:
    """The last line has no end: who adds behind it changes it, too, but has not written it."""
    h.open_end = True
    h.files[FILE].append((h.unique(), None))
    h.commit()
    h.exchange("s", lambda a: _append(h, a))
    h.commit()
    _append(h, None)
    h.commit()
    h.exchange("t", lambda a: _append(h, a))
    h.commit()
    return FILE


def pasted_twice(h: History) -> str:
    """A peer puts the same lines in two places, and a person removes the first of them."""
    texts = [h.unique(), "    try:", h.unique(), "    }", h.unique()]

    def work(owner: str) -> None:
        h.files[FILE][20:20] = [(text, owner) for text in texts]
        h.files[FILE][5:5] = [(text, owner) for text in texts]

    h.exchange("s", work)
    h.commit()
    del h.files[FILE][5:10]
    h.commit()
    return FILE


def reverts_in_turn(h: History) -> str:
    """A commit with an exchange is reverted, reverted again, and edited; then the same once more."""
    h.exchange("s", h.some)
    h.commit()
    before = h.copy()
    h.exchange("t", h.inserting(least=5))
    h.commit()
    for _ in range(2):
        after = h.copy()
        h.files = {path: list(lines) for path, lines in before.items()}
        h.commit("revert")
        h.files = after
        h.commit("revert the revert")
        h.files[FILE].append((h.unique(), None))
        h.commit("go on")
    return FILE


def large(h: History) -> str:
    """More than 20,000 lines."""
    h.files[FILE] += [(h.line(), None) for _ in range(20_500)]
    h.commit()
    for name in "stu":
        h.exchange(name, h.inserting(times=10))
        h.some(None)
        h.commit()
    return FILE


HARD: Sequence[Callable[[History], str]] = (
    merge_with_conflict,
    overlapping,
    copied_elsewhere,
    split_file,
    never_merged,
    written_again,
    table,
    sorted_lines,
    commented_out,
    other_bytes,
    submodule,
    renamed_and_edited,
    put_back_by_another,
    kept_by_half,
    fixed_up,
    in_parts,
    swapped,
    stripped,
    own_commits,
    line_ends_by_a_peer,
    wrapped,
    no_last_end,
    pasted_twice,
    reverts_in_turn,
)
