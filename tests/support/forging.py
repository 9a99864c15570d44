"""Shell lines that forge a session by git's plumbing: what they change is written with the hashes it must have."""

from __future__ import annotations

from typing import Final

# The session `s`: open, req 01, res 01, req 02, res 02, chk 02. `tip` moves it to one of them.
SHELL: Final = r"""
b=refs/heads/relay/s
code=refs/relay/code/s
end=$(git rev-parse $b)
chk=$end res=$end~1 req=$end~2 root=$end~5

tip() { git update-ref $b $(git rev-parse "$1"); }

# the tip's commit once more, its bytes through sed
redo() {
  git cat-file commit $b | sed "$@" >../commit
  git update-ref $b $(git hash-object -t commit -w ../commit)
}

# the same with a line more behind its first trailer, and with both of its dates
say() { redo "0,/^Relay-Id: .*/s//&\n$1/"; }
date_it() { redo "s/^\([ac][a-z]* .*> \)[0-9]*/\1$1/"; }

# the same with another tree: the lines of `git ls-tree` through the command given
tree() { redo "s/^tree .*/tree $(git ls-tree $b | "$@" | git mktree)/"; }

# the same with a changed file: its bytes through the command given
edit() {
  file=$1; shift
  blob=$(git cat-file blob $b:$file | "$@" | git hash-object -w --stdin)
  tree sed "s/ [0-9a-f]*\t$file\$/ $blob\t$file/"
}

# a commit more, with such a tree
more() { git update-ref $b $(git commit-tree -p $b -m 'by hand' $(git ls-tree $b | "$@" | git mktree)); }

# a file more in a commit like the tip: NAME and its bytes on stdin, then what sed does to the commit
add() {
  name=$1 blob=$(git hash-object -w --stdin) parent=$(git rev-parse $b); shift
  tree=$( (git ls-tree $b; printf '100644 blob %s\t%s\n' $blob $name) | git mktree)
  git cat-file commit $b | sed "s/^tree .*/tree $tree/; s/^parent .*/parent $parent/" | sed "$@" >../commit
  git update-ref $b $(git hash-object -t commit -w ../commit)
}

object() { oid=$(git rev-parse "$1"); echo .git/objects/$(echo $oid | cut -c1-2)/$(echo $oid | cut -c3-); }
damage() { f=$(object "$1"); chmod u+w $f; head -c $(($(wc -c <$f) / 2)) $f >../half; cp ../half $f; }
"""

LATE = 4_000_000_000
EARLY = 1_600_000_000
# (what is forged, the code it is found by, how to forge it); docs/evidence.md has the first two
FORGERIES = [
    ("a replace ref for a commit", "replaced", "git replace $(git rev-parse $req) $root"),
    (
        "a replace ref for a message",
        "replaced",
        "git replace $(git rev-parse $b:01.res.md) $(git rev-parse HEAD:app.py)",
    ),
    (
        "a replace ref for a tree of the caller's files",
        "replaced",
        "git replace $(git rev-parse $code^{tree}) $(git rev-parse $root^{tree})",
    ),
    (
        "a graft that gives a commit other parents",
        "grafted",
        "mkdir -p .git/info; git rev-parse $req >.git/info/grafts",
    ),
    ("a shallow cut that hides what is before it", "shallow", "git rev-parse $req >.git/shallow"),
    ("a commit written again with its old author date", "dates", "redo 's/^\\(committer .*> \\)[0-9]*/\\11700000000/'"),
    ("a date before that of the commit before", "dates", f"date_it {EARLY}"),
    (
        "an answer dated an hour before its request",
        "dates",
        "tip $res; date_it $(($(git log -1 --format=%ct $req) - 3600))",
    ),
    ("a date in the future", "dates", f"date_it {LATE}"),
    (
        "a longer duration than the dates leave",
        "dates",
        "tip $res; redo 's/^Relay-Duration: .*/Relay-Duration: 4000.0/'",
    ),
    (
        "a tree in the code ref that no message names",
        "code-ref",
        "git update-ref $code $(git commit-tree -p $code -m x $root^{tree})",
    ),
    (
        "a message that names a tree which the code ref lacks",
        "code-ref",
        'redo "s/^Relay-Tree: .*/Relay-Tree: $(git rev-parse $root^{tree})/"; '
        'edit 02.check.md sed "s/^tree: .*/tree: $(git rev-parse $root^{tree})/"',
    ),
    ("a code ref cut down to its last tree", "code-ref", "git update-ref $code $(git commit-tree -m x $code^{tree})"),
    (
        "a code ref with its trees in another order",
        "code-ref",
        "a=$(git commit-tree -m x $code^{tree}); git update-ref $code $(git commit-tree -p $a -m x $code~1^{tree})",
    ),
    ("a code ref that is gone", "code-gone", "git update-ref -d $code"),
    ("a session that is cut off, while its code ref is not", "code-ref", "tip $req"),
    ("a trailer twice", "trailers", "tip $res; say 'Relay-Verify: fail'"),
    (
        "a trailer twice in other capital letters",
        "trailers",
        "tip $res; say 'relay-verify: fail'",
    ),
    (
        "a trailer in other capital letters",
        "look-alike",
        "tip $res; redo 's/^Relay-Model: .*//; s/^Relay-Head/relay-HEAD/'",
    ),
    ("a trailer misspelt by a letter", "look-alike", "tip $res; say 'Relay-Verfiy: fail'"),
    ("a trailer with another hyphen", "trailers", "tip $res; say 'Relay\u2010Verify: fail'"),
    (
        "a trailer that gitrelay never writes",
        "look-alike",
        "tip $res; say 'Reviewed-by: The Boss'",
    ),
    (
        "a trailer on a commit in which it does not belong",
        "look-alike",
        "tip $req; say 'Relay-Verify: pass'",
    ),
    (
        "a trailer in the words before the trailers",
        "look-alike",
        "tip $res; redo '0,/^Relay-/s/^Relay-/Relay-Verify: fail\\n\\n&/'",
    ),
    ("a header that gitrelay does not write", "headers", "redo 's/^committer .*/&\\nreviewed-by The Boss/'"),
    ("an encoding that changes what is shown", "headers", "redo 's/^committer .*/&\\nencoding UTF-16/'"),
    ("a character that is not seen", "headers", "tip $res; redo 's/^\\(Relay-Peer: .*\\)/\\1\\x1b[2K/'"),
    (
        "another committer of the answer",
        "committer",
        "tip $res; redo 's/^committer .*>/committer Mallory <mallory@example.invalid>/'",
    ),
    (
        "another committer of a check right behind the answer",
        "committer",
        "redo 's/^committer .*>/committer Mallory <mallory@example.invalid>/'",
    ),
    ("a session whose name differs by capital letters", "name-case", "git update-ref refs/heads/relay/S $b"),
    (
        "a check that nobody asked for",
        "check-asked",
        "git cat-file blob $b:02.check.md | sed 's/\"true\"/\"make x\"/' | add 02.check-2.md 's/: true/: make x/'",
    ),
    ("a count that is none", "trailer-value", "tip $res; say 'Relay-Denied: many'"),
    ("a limit that is none", "trailer-value", "tip $req; redo 's/^Relay-Asked-Limits: .*/Relay-Asked-Limits: soon/'"),
    ("a replay of nothing", "trailer-value", "tip $req; say 'Relay-Replay: all of it'"),
    ("a call that is no address", "trailer-value", "tip $res; say 'Relay-In: the boss'"),
]
