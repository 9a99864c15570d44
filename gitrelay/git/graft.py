"""Trees of the user's files: a tree in which some paths have other contents, made without an index.

An index of all files costs more to write than `git status` takes in a large repository; here only the trees on
the way to a path are read and written, in two git processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gitrelay.git import pack
from gitrelay.git.objects import Object, split_tree
from gitrelay.git.repository import Repository

_Tree = dict[bytes, tuple[bytes, bytes]]  # name -> (mode, object id), as a tree object has them
_FOLDER: Final = b"40000"


def graft(repo: Repository, base: Object | None, changes: Mapping[bytes, tuple[str, str] | None]) -> str:
    """The id of the tree `base` with `changes`, path -> (mode, object id), None if the path is gone; written."""
    folders = sorted({path[:at] for path in changes for at in _slashes(path)} | {b""})
    trees = _trees(repo, base, folders)
    for path, entry in changes.items():
        folder, _, name = path.rpartition(b"/")
        if entry is None:
            trees[folder].pop(name, None)
        else:
            trees[folder][name] = (entry[0].encode(), bytes.fromhex(entry[1]))
    written = []
    for folder in reversed(folders):  # a folder comes behind its parent in the order of names
        data = _tree_bytes(trees[folder])
        written.append(data)
        parent, _, name = folder.rpartition(b"/")
        if data and folder:
            trees[parent][name] = (_FOLDER, bytes.fromhex(repo.object_id("tree", data)))
        elif folder and trees[parent].get(name, (b"",))[0] == _FOLDER:
            del trees[parent][name]  # git has no empty folders
    # as a pack: 'git mktree' would look up every entry of every tree, and sync each of them by itself
    pack.write(repo, [("tree", data) for data in written], users=True)
    return repo.object_id("tree", written[-1])


def _trees(repo: Repository, base: Object | None, folders: Sequence[bytes]) -> dict[bytes, _Tree]:
    """folder -> its tree in the tree `base`; an empty one for a folder that is not there. Parents come first."""
    width = len(repo.no_object) // 2
    root = _tree(base.data, width) if base is not None else {}
    names = {}
    for folder in folders:
        first, _, rest = folder.partition(b"/")
        mode, oid = root.get(first, (b"", b""))
        if mode == _FOLDER and b"\n" not in rest:
            # from the folder at the top on: git would read the root again for every name
            names[folder] = f"{oid.hex()}:{os.fsdecode(rest)}" if rest else oid.hex()
    found = dict(zip(names, repo.objects(list(names.values())), strict=True))
    trees = {b"": root}
    for folder in folders[1:]:
        if b"\n" in folder and folder not in found:  # git is asked line by line
            parent, _, name = folder.rpartition(b"/")
            mode, oid = trees[parent].get(name, (b"", b""))
            found[folder] = repo.objects([oid.hex()])[0] if mode == _FOLDER else None
        tree = found.get(folder)
        trees[folder] = _tree(tree.data, width) if tree is not None and tree.kind == "tree" else {}
    return trees


def _slashes(path: bytes) -> Iterator[int]:
    at = path.find(b"/")
    while at >= 0:
        yield at
        at = path.find(b"/", at + 1)


def _tree(data: bytes, width: int) -> _Tree:
    """A raw tree object, taken apart; an object id has `width` bytes."""
    return {name: (raw[: raw.index(b" ")], raw[-width:]) for name, raw in split_tree(data, width)}


def _tree_bytes(tree: _Tree) -> bytes:
    """A tree object, in git's order: a folder's name counts as if it ended with '/'."""
    in_order = sorted((name + b"/" if mode == _FOLDER else name, mode, name, oid) for name, (mode, oid) in tree.items())
    return b"".join([b"%s %s\0%s" % row[1:] for row in in_order])
