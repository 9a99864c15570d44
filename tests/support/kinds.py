"""Kinds of histories: each makes one; the path it returns is what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from support.histories import FILE, WORDS, History, Owned


def plain(h: History) -> str:
    h.exchange("s", h.some)
    h.commit()
    h.some(None)
    h.commit()
    h.exchange("s", h.some)
    h.commit()
    return FILE


def amend(h: History) -> str:
    """Two exchanges and an edit by hand end in one commit."""
    h.exchange("s", h.some)
    h.some(None)
    h.exchange("s", h.some)
    h.commit("amended")
    return FILE


def squash(h: History) -> str:
    """Two sessions in turn, all of it one commit."""
    for n in range(6):
        h.exchange("ab"[n % 2], h.some)
        if n % 3 == 2:
            h.some(None)
    h.commit("squashed")
    return FILE


def rebase(h: History) -> str:
    """What was done on one base is committed again on another one."""
    base = h.copy()
    h.exchange("s", h.inserting(times=2))
    h.exchange("s", h.inserting())
    mine = h.copy()
    h.files = base
    at, count = h.insert(None)
    theirs = h.files[FILE][at : at + count]
    h.commit("theirs")
    h.files = mine
    h.files[FILE][0:0] = theirs if at == 0 else []
    if at:
        anchor = base[FILE][at - 1]
        place = next((i for i, one in enumerate(h.files[FILE]) if one == anchor), len(h.files[FILE]) - 1)
        h.files[FILE][place + 1 : place + 1] = theirs
    h.commit("rebased")
    return FILE


def rebase_with_conflict(h: History) -> str:
    """A line of the peer's is settled by hand into another one."""
    h.exchange("s", lambda a: h.replace(a, count=4))
    owned = [i for i, (_, owner) in enumerate(h.files[FILE]) if owner]
    for i in owned[:2]:
        h.files[FILE][i] = (h.unique() + "  # settled", None)
    h.insert(None)
    h.commit("rebased")
    return FILE


def merge(h: History) -> str:
    """A branch with an exchange, and work on main; a merge commit has both."""
    base = h.copy()
    h.exchange("s", h.some)
    h.commit("on the branch", branch="side", begin="main")
    side, theirs = h.copy(), [(h.unique(), None), *h.block(None)]
    h.files = base
    h.files[FILE][0:0] = theirs
    h.commit("on main")
    h.files = side
    h.files[FILE][0:0] = theirs
    h.commit("merged", merged="side")
    h.exchange("t", h.some)
    h.commit("after")
    return FILE


def cherry_pick(h: History) -> str:
    """Only the second exchange comes to the release."""
    base = h.copy()
    h.exchange("s", h.inserting())
    h.files = base
    h.exchange("s", h.inserting())
    h.now += 86_400
    h.commit("picked")
    return FILE


def revert_of_revert(h: History) -> str:
    before = h.copy()
    h.exchange("s", h.some)
    h.commit("add")
    after = h.copy()
    h.files = before
    h.commit("revert")
    h.files = after
    h.commit("revert the revert")
    h.some(None)
    h.commit()
    return FILE


def _attempts(h: History, count: int, same: int) -> list[tuple[str, dict[str, list[Owned]]]]:
    """So many attempts aside that add a block each, and `same` equal lines: (address, files) of each."""
    base, shared = h.copy(), [h.unique() for _ in range(same)]
    made = []
    for n in range(count):

        def work(owner: str) -> None:
            h.insert(owner)
            h.files[FILE] += [(text, owner) for text in shared]

        address = h.exchange(f"g-{n + 1}", work, trailers={"Relay-Workspace": "isolated"})
        made.append((address, h.copy()))
        h.files = {path: list(lines) for path, lines in base.items()}
    return made


def partial_apply(h: History) -> str:
    """Of what an attempt did, only some comes into the tree; the other attempt is not applied."""
    (address, mine), _ = _attempts(h, 2, 3)
    del mine[FILE][-1]
    h.apply(address, mine)
    h.commit("applied")
    return FILE


def reflow(h: History) -> str:
    """A formatter splits a call of the peer's over lines, with a comma behind the last argument."""

    def work(owner: str) -> None:
        h.insert(owner)
        h.serial += 1
        names = [f"{h.chance.choice(WORDS)}_{h.serial}_{i}" for i in range(6)]
        h.files[FILE].append((f"result_{h.serial} = assemble({', '.join(names)})", owner))

    h.exchange("s", work)
    h.commit()
    text, owner = h.files[FILE].pop()
    head, _, rest = text.partition("(")
    split = [head + "(", *(f"    {word}," for word in rest.removesuffix(")").split(", ")), ")"]
    h.files[FILE] += [(line, owner) for line in split]
    h.commit("format")
    return FILE


def reformat(h: History) -> str:
    """White space alone changes: by hand in a later commit, and by a peer in an exchange of its own."""
    h.exchange("s", h.some)
    h.commit()
    h.files[FILE] = [("  " + text if text else text, owner) for text, owner in h.files[FILE]]
    h.commit("indent")

    def work(owner: str) -> None:
        h.files[FILE] = [("\t" + text.lstrip() if text else text, old) for text, old in h.files[FILE]]
        h.insert(owner)

    h.exchange("t", work)
    h.commit()
    return FILE


def moved_block(h: History) -> str:
    """A block of the peer's is moved within the file, one of a person's by the peer."""
    at, count = 0, 0

    def first(owner: str) -> None:
        nonlocal at, count
        at, count = h.insert(owner, least=4)

    h.exchange("s", first)
    h.commit()
    lines = h.files[FILE]
    block = lines[at : at + count]
    del lines[at : at + count]
    lines += block
    h.commit("move")

    def second(owner: str) -> None:
        mine = h.files[FILE]
        piece = mine[2:7]
        del mine[2:7]
        mine += piece
        mine.append((h.unique(), owner))

    h.exchange("s", second)
    h.commit()
    return FILE


def moved_to_a_new_file(h: History) -> str:
    """A block of the peer's goes to a file of its own, in one commit with the exchange."""
    at, count = 0, 0

    def first(owner: str) -> None:
        nonlocal at, count
        at, count = h.insert(owner, least=6, most=12)

    h.exchange("s", first)
    block = h.files[FILE][at : at + count]
    del h.files[FILE][at : at + count]
    h.files["src/moved.py"] = [("# moved out of the way, by hand", None), *block, (h.unique(), None)]
    h.commit("squashed")
    return "src/moved.py"


def rename(h: History) -> str:
    """The file is renamed later; a peer goes on in it."""
    h.exchange("s", h.some)
    h.commit()
    h.files["src/renamed.py"] = h.files.pop(FILE)
    h.commit("rename")
    h.exchange("s", h.inserting("src/renamed.py"))
    h.commit()
    return "src/renamed.py"


def rename_in_squash(h: History) -> str:
    h.exchange("s", h.some)
    h.files["src/renamed.py"] = h.files.pop(FILE)
    h.commit("squashed")
    return "src/renamed.py"


def interleaved(h: History) -> str:
    """Three sessions and a person, in any order, with a commit now and then."""
    for _ in range(9):
        who = h.chance.choice(("a", "b", "c", ""))
        if who:
            h.exchange(who, h.some)
        else:
            h.some(None)
        if h.chance.random() < 0.3:
            h.commit()
    h.commit()
    return FILE


def human_edits(h: History) -> str:
    """A person changes lines of the peer's, which are nobody's then, and adds between them."""
    h.exchange("s", h.inserting(least=8, most=14))
    h.commit()
    owned = [i for i, (text, owner) in enumerate(h.files[FILE]) if owner and len(text) > 12]
    for i in owned[::3]:
        h.files[FILE][i] = (h.files[FILE][i][0] + "  # by hand", None)
    for i in reversed(owned[1::4]):
        h.files[FILE].insert(i, (h.unique(), None))
    h.commit("by hand")
    return FILE


def boilerplate(h: History) -> str:
    """A peer and a person write functions that look the same but for their names."""

    def function(owner: str | None) -> list[Owned]:
        h.serial += 1
        lines = (
            f"def step_{h.serial}(value):",
            "    try:",
            f"        return {h.serial}_000 + value",
            "    except ValueError:",
        )
        return [(text, owner) for text in (*lines, "        return None", "", "")]

    for n in range(5):
        if n % 2:
            h.files[FILE] += function(None)
            h.commit()
        else:
            h.exchange("s", lambda a: h.files[FILE].extend(function(a)))
    h.commit()
    return FILE


def crlf_flip(h: History) -> str:
    """All line ends change, after the exchange."""
    h.exchange("s", h.some)
    h.commit()
    h.end = "\r\n"
    h.commit("line ends")
    h.some(None)
    h.exchange("s", h.some)
    h.commit()
    return FILE


def uncommitted(h: History) -> str:
    """Nothing of it is committed yet."""
    h.exchange("s", h.some)
    h.some(None)
    h.exchange("t", h.some)
    return FILE


def new_file(h: History) -> str:
    """A peer writes a whole file, a person another one like it."""
    h.exchange("s", lambda a: h.files.update({"src/new.py": h.block(a, 20, 30)}))
    h.commit()
    head = [(text, None) for text, _ in h.files["src/new.py"][:2]]
    h.files["src/other.py"] = [*head, *h.block(None, 10, 20)]
    h.commit()
    return h.chance.choice(("src/new.py", "src/other.py"))


def identical_blocks(h: History) -> str:
    """A peer, a person and another peer write the same seven lines, each in another place, each committed."""
    texts = [h.unique(), "    try:", "        return None", h.unique(), "    }", "", h.unique()]

    def write(owner: str | None, at: int) -> None:
        lines = h.files[FILE]
        place = next(i for i, (text, _) in enumerate(lines) if text == anchors[at]) + 1
        lines[place:place] = [(text, owner) for text in texts]

    anchors = [h.unique() for _ in range(3)]
    for at, anchor in zip((5, 12, 19), anchors, strict=True):
        h.files[FILE].insert(at, (anchor, None))
    h.commit()
    h.exchange("s", lambda a: write(a, 0))
    h.commit()
    write(None, 1)
    h.commit()
    h.exchange("t", lambda a: write(a, 2))
    h.commit()
    return FILE


def attempts(h: History) -> str:
    """Three attempts aside add much the same; the second is applied, and a person goes on."""
    h.apply(*_attempts(h, 3, 4)[1])
    h.some(None)
    h.commit("applied")
    return FILE


def mixed(h: History) -> str:
    """Several of these, one after the other."""
    path = FILE
    for step in h.chance.sample((plain, amend, squash, human_edits, reformat, boilerplate, interleaved), 3):
        path = step(h)
    return path


KINDS: Sequence[Callable[[History], str]] = (
    plain,
    amend,
    squash,
    rebase,
    rebase_with_conflict,
    merge,
    cherry_pick,
    revert_of_revert,
    partial_apply,
    reflow,
    reformat,
    moved_block,
    moved_to_a_new_file,
    rename,
    rename_in_squash,
    interleaved,
    human_edits,
    boilerplate,
    crlf_flip,
    uncommitted,
    new_file,
    identical_blocks,
    attempts,
    mixed,
)
