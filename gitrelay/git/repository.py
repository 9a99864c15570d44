"""A repository, and the small named questions that are asked of it.

GitPython opens nothing by itself here: it runs plumbing, one process for one named question, with raw
bytes in and out (`-z`, full ref names, `--` before operands). Its porcelain (`repo.index`,
`head.commit`) loses commits under concurrency and fails in SHA-256 repositories.

Invariants: no user hook runs, nothing asks a question, nothing touches the user's index, stash or
configuration; replace refs are ignored, so that history reads as it was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code, IntegrityError, UsageError
from gitrelay.git import limits, listing, version
from gitrelay.git.faults import GitError, Hangs, classified, last_line
from gitrelay.git.objects import Object, TreeEntry, Worktree, tree_entries
from gitrelay.git.opening import no_repository, refuse_other
from gitrelay.git.run import LIMIT, MESSAGE_SETTINGS, SETTINGS, execute
from gitrelay.ground.text import quote_path
from gitrelay.protocol.record import Identity

_ON_ARGV: Final = 500  # object ids of 64 characters: a quarter of what one argument may hold, far below all together


class Repository:
    """A repository seen from one working tree: `top` is that tree's root, None in a bare repository.

    `env` is what git gets for a question about the user's own files: `git.elsewhere` looks at others than `top`'s.
    """

    env: Mapping[str, str] = {}

    def __init__(self, top: Path | None, git_dir: Path, common_dir: Path, object_format: str) -> None:
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.object_format = object_format
        self.place = top or git_dir

    @property
    def index(self) -> Path:
        """The file of the index that git uses for `top`."""
        return self.git_dir / "index"

    @property
    def home(self) -> Path:
        """The folder that git is run in, if it is not about the files of `top`."""
        return self.place

    @classmethod
    def open(cls, folder: Path) -> Repository:
        """The repository that `folder` is in. Raises UsageError if there is none, CannotRecord for git's faults."""
        status, out, err = execute(
            folder,
            [
                "rev-parse",
                "--is-bare-repository",
                "--show-object-format",
                "--absolute-git-dir",
                "--git-common-dir",
                "--show-toplevel",
            ],
        )
        lines = out.decode("utf-8", "surrogateescape").split("\n")[:-1]
        if status == 0 and len(lines) == 5:
            top: Path | None = Path(lines[4])
        elif status != 0 and len(lines) == 4 and "work tree" in err:
            top = None
        else:
            version.require()  # an old git fails in ways of its own
            raise no_repository(folder, err)
        git_dir = Path(lines[2])
        repo = cls(top, git_dir, Path(os.path.normpath(folder / lines[3])), lines[1])
        version.require(repo.common_dir / "relay")
        refuse_other(repo.git_dir, repo.common_dir, repo.top, folder)
        if top is None and lines[0] == "false":
            # inside the .git folder of an ordinary repository
            raise UsageError(
                f"{quote_path(folder)} is inside a .git folder",
                hint="change into the working tree",
                code=Code.NOT_A_REPOSITORY,
            )
        return repo

    def has_no_tree(self, what: str, hint: str) -> UsageError:
        """The error of a verb that needs a working tree; it names core.bare if that alone says there is none."""
        if self.git_dir.name == ".git" and (self.git_dir / "index").exists():  # a bare clone has no index
            return UsageError(
                f"core.bare is true in {quote_path(self.git_dir / 'config')}, so git sees no working tree in "
                f"{quote_path(self.git_dir.parent)}",
                hint=f"git -C {shlex.quote(str(self.git_dir.parent))} config core.bare false",
                code=Code.BARE_REPOSITORY,
            )
        return UsageError(what, hint=hint, code=Code.BARE_REPOSITORY)

    # -- running git ------------------------------------------------------------------------------

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        place: Path | None = None,
        ok: Sequence[int] = (0,),
        users: bool = False,
        limit: float | None = None,
    ) -> bytes:
        """stdout of `git ARGS` as bytes. Raises GitError, or CannotRecord if the machine is at fault.

        `users`: it is about the user's own files, so their line ends, attributes and sparse checkout hold. Raises
        Hangs after `limit` seconds; a filter of the user's has the time that `limits` says.
        """
        if limit is None:
            limit = self.users_limit if users else LIMIT
        if users and place is None:
            env = {**self.env, **(env or {})}
        at = place or (self.place if users else self.home)
        status, out, err = execute(at, args, stdin, env, users=users, limit=limit)
        if status not in ok:
            raise classified(args, status, err)
        return out

    # -- configuration ----------------------------------------------------------------------------

    @cached_property
    def listed_config(self) -> list[listing.Setting]:
        """Every setting that git knows of, in its order."""
        return listing.settings(self.run("config", "--null", "--show-origin", "--list"), origins=True)

    @cached_property
    def config(self) -> dict[str, list[tuple[str, str]]]:
        """Every setting: lower-cased section and key (the subsection as written) -> [(value, the file it is in)]."""
        return listing.by_name(self.listed_config)

    def config_of(self, path: Path) -> list[listing.Setting]:
        """What the file `path` says, without what it includes."""
        found = listing.of_file(self.listed_config, path, self.home)
        if found:
            return found  # else git names it in another way, or nothing is in it
        return listing.settings(self.run("config", "--file", str(path), "--null", "--list"), origins=False)

    def setting(self, name: str) -> str | None:
        values = self.config.get(name)
        return values[-1][0] if values else None

    def users_setting(self, name: str) -> str | None:
        """As `setting`, without what gitrelay's own git is started with (`SETTINGS`)."""
        values = [value for value, _ in self.config.get(name, [])]
        ours = sum(name == setting.partition("=")[0].lower() for setting in SETTINGS + MESSAGE_SETTINGS)
        values = values[: len(values) - ours]
        return values[-1] if values else None

    def flag(self, name: str) -> bool | None:
        value = self.setting(name)
        return None if value is None else value.lower() in ("true", "yes", "on", "1")

    @cached_property
    def users_limit(self) -> float:
        """Seconds for git to look at the user's files. Raises UsageError."""
        return limits.of_filters(self.config, self.setting)

    @cached_property
    def identity(self) -> Identity:
        """The user's own git identity as committer; `gitrelay` where none is configured."""
        name = os.environ.get("GIT_COMMITTER_NAME") or self.setting("committer.name") or self.setting("user.name")
        email = os.environ.get("GIT_COMMITTER_EMAIL") or self.setting("committer.email") or self.setting("user.email")
        if name and email:
            return Identity(name, email)
        return Identity("gitrelay", "gitrelay@gitrelay.invalid")

    @cached_property
    def signs(self) -> bool:
        """Whether relay commits are signed: `relay.sign`, else `commit.gpgsign`."""
        own = self.flag("relay.sign")
        return bool(self.flag("commit.gpgsign") if own is None else own)

    # -- objects ----------------------------------------------------------------------------------

    @cached_property
    def empty_tree(self) -> str:
        return self.object_id("tree", b"")

    @property
    def no_object(self) -> str:
        """The all-zero id that stands for 'no such ref' in a compare-and-swap."""
        return "0" * (64 if self.object_format == "sha256" else 40)

    def object_id(self, kind: str, data: bytes) -> str:
        """The id that git gives to `data`; computed here, so that what was written can be checked."""
        return hashlib.new(self.object_format, b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()

    def objects(self, names: Sequence[str]) -> list[Object | None]:
        """The objects that `names` resolve to, in order, None for what is missing: one process for all of them."""
        if not names:
            return []
        if any("\n" in name for name in names):
            raise ValueError("an object name cannot hold a newline")
        wanted = "".join(n + "\n" for n in names).encode("utf-8", "surrogateescape")
        out = self.run("cat-file", "--batch", "--buffer", stdin=wanted)
        found: list[Object | None] = []
        at = 0
        for _ in names:
            end = out.index(b"\n", at)
            head = out[at:end].split(b" ")
            at = end + 1
            if len(head) == 3 and head[2].isdigit():
                size = int(head[2])
                found.append(Object(head[0].decode(), head[1].decode(), out[at : at + size]))
                at += size + 1
            else:
                found.append(None)
        return found

    def exist(self, names: Sequence[str]) -> list[bool]:
        """Whether each of `names` resolves to an object, in order: one process, which reads none of them."""
        if not names:
            return []
        wanted = "".join(n + "\n" for n in names).encode("utf-8", "surrogateescape")
        out = self.run("cat-file", "--batch-check=%(objecttype)", "--buffer", stdin=wanted)
        return [line in (b"blob", b"commit", b"tree", b"tag") for line in out.split(b"\n")[:-1]]

    def tree_entries(self, data: bytes) -> list[TreeEntry]:
        """A raw tree object -> its entries."""
        return tree_entries(data, len(self.no_object) // 2)

    def write_blob(self, path: Path, data: bytes) -> str:
        """Store the file at `path` as it is (no filters, no line-end conversion); it must hold `data`."""
        oid = self.run("hash-object", "-w", "--no-filters", "--", str(path)).decode().strip()
        if oid != self.object_id("blob", data):
            raise IntegrityError(f"{quote_path(path)} changed while it was being recorded", hint="try again")
        return oid

    def write_data(self, data: bytes) -> str:
        """Store `data` as a blob."""
        return self.run("hash-object", "-w", "--no-filters", "--stdin", stdin=data).decode().strip()

    def write_tree(self, entries: Iterable[TreeEntry]) -> str:
        lines = b"".join(f"{e.mode} blob {e.oid}\t{e.name}".encode("utf-8", "surrogateescape") + b"\0" for e in entries)
        return self.run("mktree", "-z", stdin=lines).decode().strip()

    def commit(
        self, tree: str, parents: Sequence[str], message: str, author: Identity, *, sign: bool | None = None
    ) -> str:
        """A commit object by `author`, committed by the user and signed as the user's git says. Moves nothing."""
        parent_args = [word for parent in parents for word in ("-p", parent)]
        signed = self.signs if sign is None else sign
        env = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": self.identity.name,
            "GIT_COMMITTER_EMAIL": self.identity.email,
        }
        try:
            out = self.run(
                "commit-tree",
                *(["-S"] if signed else []),
                *parent_args,
                "-F",
                "-",
                tree,
                stdin=message.encode(),
                env=env,
                limit=limits.of_signing(self.setting) if signed else None,
            )
        except Hangs as e:
            if not signed:
                raise
            raise CannotRecord(
                f"the commit cannot be signed: the signing program did not end within {e.limit:g} s",
                hint="git config gpg.program; an agent may ask where nobody sees it; or 'git config relay.sign false'",
                code=Code.CANNOT_SIGN,
            ) from e
        except GitError as e:
            if not signed:
                raise
            raise CannotRecord(
                f"the commit cannot be signed: {last_line(e.stderr)}",
                hint="fix the signing key (git config user.signingKey), or 'git config relay.sign false'",
                code=Code.CANNOT_SIGN,
            ) from e
        return out.decode().strip()

    # -- refs -------------------------------------------------------------------------------------

    def ref(self, name: str) -> str | None:
        """The object id that the full ref name stands for."""
        out = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, ok=(0, 1)).decode().strip()
        return out or None

    def each_ref(self, format_: str, *prefixes: str) -> list[list[str]]:
        """Rows of `for-each-ref`; fields of `format_` are separated by %00, rows by newline and %01."""
        out = self.run("for-each-ref", f"--format={format_}%01", *prefixes)
        rows = out.decode("utf-8", "replace").split("\x01\n")[:-1]
        return [row.split("\0") for row in rows]

    def move_refs(self, moves: Iterable[tuple[str, str, str]], reason: str, *, by: str = "gitrelay") -> None:
        """Compare-and-swap each (ref, new, old) in one transaction; `no_object` as old creates, as new deletes.

        `by` begins the reflog's line: `fetch` for what was recorded elsewhere.
        Raises GitError if one of them is not at `old` any more; then none has moved.
        """
        lines = "".join(f"update {ref}\0{new}\0{old}\0" for ref, new, old in moves)
        # --no-deref: a session's branch that somebody made a symbolic ref must not move what it points to
        self.run("update-ref", "--no-deref", "-m", f"{by}: {reason}", "-z", "--stdin", stdin=lines.encode())

    def head(self, git_dir: Path, place: Path) -> str:
        """What HEAD of the worktree at `place` says: `ref: NAME`, or the commit that it is detached at.

        git is asked if its file does not tell: with reftable it always names `refs/heads/.invalid`.
        """
        with contextlib.suppress(OSError):
            path = git_dir / "HEAD"
            text = path.read_text("utf-8", "surrogateescape").strip() if not path.is_symlink() else ""
            if text and text != "ref: refs/heads/.invalid":
                return text
        name = self.run("symbolic-ref", "--quiet", "HEAD", place=place, ok=(0, 1)).decode("utf-8", "surrogateescape")
        if name:
            return f"ref: {name.strip()}"
        return self.run("rev-parse", "--verify", "--end-of-options", "HEAD", place=place).decode().strip()

    # -- worktrees --------------------------------------------------------------------------------

    def worktrees(self) -> list[Worktree]:
        found = []
        for record in self.run("worktree", "list", "--porcelain").decode("utf-8", "surrogateescape").split("\n\n"):
            fields = dict(line.partition(" ")[::2] for line in record.splitlines())
            if "worktree" in fields:
                path = Path(fields["worktree"])
                found.append(Worktree(path, fields.get("branch"), "prunable" in fields or not path.exists()))
        return found

    def add_worktree(self, path: Path, branch: str) -> None:
        # --force: a folder that was removed by hand is still registered; twice: and it may have been locked
        words = ("worktree", "add", "--quiet", "--force", "--force", "--", str(path), branch)
        self.run(*(self.no_filters if self.converts else []), *words)

    def remove_worktree(self, path: Path) -> None:
        self.run("worktree", "remove", "--force", "--force", "--", str(path))

    def reset_worktree(self, place: Path) -> None:
        """Index and tracked files of the worktree at `place` become those of its HEAD; other files stay."""
        self.run(*(self.no_filters if self.converts else []), "read-tree", "--reset", "-u", "HEAD", place=place)

    @property
    def converts(self) -> bool:
        """Whether a checkout may change bytes: of all attribute files, `info/attributes` cannot be switched off."""
        return (self.common_dir / "info" / "attributes").exists()

    @property
    def no_filters(self) -> list[str]:
        """Words before a git command that keep the user's filters from running."""
        filters = {name.rpartition(".")[0] for name in self.config if name.startswith("filter.") and "=" not in name}
        off = [
            f"{name}.{rest}" for name in sorted(filters) for rest in ("clean=", "smudge=", "process=", "required=false")
        ]
        return [word for setting in off for word in ("-c", setting)]

    def changes(self, place: Path) -> list[tuple[str, str]]:
        """(state, path) of everything in the worktree at `place` that differs from its HEAD, ignored files too."""
        out = self.run("status", "--porcelain", "-z", "--no-renames", "--ignored", "--untracked-files=all", place=place)
        return [(item[:2], item[3:]) for item in out.decode("utf-8", "surrogateescape").split("\0") if item]

    # -- history ----------------------------------------------------------------------------------

    def first_parents(self, revs: Sequence[str], count: int | None = None) -> Iterator[tuple[str, str, str, str]]:
        """Every commit from `revs` on along first parents, newest first, `count` at most: id, parents, time, message.

        The parents are ids with a blank between them, the time is seconds since the epoch, or '' if there is none.
        """
        if not revs:
            return iter(())  # git would take HEAD
        words = ["log", "-z", "--first-parent", "--format=%H%x00%P%x00%ct%x00%B"]
        words += [f"--max-count={count}"] if count is not None else []
        if len(revs) <= _ON_ARGV:  # stdin needs a temporary file, and a read-only sandbox has no place for one
            out = self.run(*words, "--end-of-options", *revs, "--")
        else:
            out = self.run(*words, "--stdin", stdin="".join(f"{rev}\n" for rev in revs).encode())
        fields = iter(out.decode("utf-8", "replace").split("\0"))  # git ends a message at its first NUL
        return zip(fields, fields, fields, fields, strict=False)

    def search(self, text: str, format_: str, prefixes: Sequence[str]) -> Iterator[list[str]]:
        """Commits below the ref `prefixes` whose message holds `text`, oldest first; fields as in `log`."""
        globs = [f"--glob={prefix}*" for prefix in prefixes]
        words = ["--fixed-strings", f"--grep={text}", *globs]
        out = self.run("log", "-z", "--reverse", f"--format={format_}%x01", *words, "--")
        rows = (row.removesuffix("\x01") for row in out.decode("utf-8", "replace").split("\x01\0"))
        yield from (row.split("\0") for row in rows if row)
