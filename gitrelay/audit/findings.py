"""The rules of the audit by name, and what a broken one is told as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LOOK: Final = "git show {commit}"
_REWRITTEN: Final = "compare with a clone or a remote: git relay fsck --witness REMOTE"
_OBJECT: Final = "git fsck --full; fetch it from a clone that has it (git fetch --unshallow in a shallow clone)"
# code -> (the rule in words, what to do if it is broken); docs/evidence.md has the same list
RULES: Final[dict[str, tuple[str, str]]] = {
    "ref-name": ("a session's branch is named relay/SLUG, or after a one-shot", "git branch -m relay/NAME SLUG"),
    "ref-broken": ("a session's ref can be read", "git reflog has its last commits; git update-ref puts it back"),
    "ref-target": ("a session's ref is a commit", "git cat-file -t {commit}"),
    "ref-twice": ("a session is a branch or archived, not both", "compare the two and delete one"),
    "object-missing": ("every commit, tree and message is there", _OBJECT),
    "object-corrupt": ("every commit, tree and message can be read and has the hash it is named by", _OBJECT),
    "root-tree": ("a session begins with the empty tree", _LOOK),
    "root-version": ("a session's root says Relay-Version: 4", _LOOK),
    "root-subject": ("a session's root says 'open SESSION', also that of SESSION-mine", _LOOK),
    "linear": ("a session is one line of commits", _LOOK),
    "one-file": ("a commit adds one file", _LOOK),
    "file-changed": ("no file is changed after it was added", _REWRITTEN),
    "file-deleted": ("no file is deleted", _REWRITTEN),
    "file-name": ("a file is ID.req.md, ID.res.md, ID.check.md, ID.apply.md, ID.check-N.md or ID.apply-N.md", _LOOK),
    "file-mode": ("a message is a plain file", _LOOK),
    "order": ("request, response, checks and applies, in this order", "git log --oneline --reverse {ref}"),
    "ids": ("turns are numbered 01, 02, ... without a gap", "git log --oneline --reverse {ref}"),
    "unanswered": ("only the last request may wait for its answer", "git log --oneline --reverse {ref}"),
    "bytes": ("a message can be parsed and ends with a newline", _LOOK),
    "file-id": ("the id in a message is that of its file", _LOOK),
    "parties": ("a response goes from whom was asked to whom asked", _LOOK),
    "trailers": ("the trailers are there, once, and say what the message says", _LOOK),
    "subject": ("the subject says what the message says", _LOOK),
    "author": ("the author is who speaks, NAME <NAME@gitrelay.invalid>", _LOOK),
    "reason": ("only an error has a reason, and a known one if gitrelay wrote it", _LOOK),
    "recorded": ("Relay-Recorded is peer or gitrelay", _LOOK),
    "access": ("Relay-Access is read, write or full", _LOOK),
    "sandbox": ("Relay-Sandbox is held, violated or unknown", _LOOK),
    "head": ("Relay-Head is a commit id or 'unborn'", _LOOK),
    "check": ("a check's file, trailer and subject say the same", _LOOK),
    "apply": ("an apply's file and subject say the same, and who did it", _LOOK),
    "review": ("a review is bound to a base, a head, a tree and a policy, and its answer to the same", _LOOK),
    "bypass": ("an exception has a reason, and is the answer of a person to the gate", _LOOK),
    "tree": (
        "Relay-Tree is a tree, and there where the session's code ref keeps it",
        "git log --format='%h %T' {code}",
    ),
    "code-ref": (
        "the session's code ref keeps the trees that it names, in their order, and no others",
        "git log --format='%h %T' {code}; fetch both: git fetch REMOTE {ref} {code}",
    ),
    "code-gone": ("a session that was recorded here has its code ref", "git ls-remote REMOTE {code}"),
    "steps": ("a commit of a session's steps ref adds the steps of one turn, at most 500", "git log --stat {ref}"),
    "headers": ("a commit has the headers that git writes, and its words can be seen", "git cat-file -p {commit}"),
    "look-alike": ("no line passes for a trailer that it is not, and none is where it does not belong", _LOOK),
    "trailer-value": ("a trailer says what it may say", _LOOK),
    "dates": (
        "dates do not run backwards, are not in the future, and leave time for Relay-Duration",
        "git log --format='%h %ad %cd %s' --date=iso {ref}; a clock was set, or the date is not true: ask a witness",
    ),
    "committer": (
        "who committed a request committed the answer to it, and its checks",
        "git show -s --format=fuller {commit}",
    ),
    "check-asked": ("a check was asked for by the request, or says who ran it", _LOOK),
    "replaced": ("git shows no other object in place of a session's", "git replace -l; git replace -d {commit}"),
    "grafted": ("git takes the parents of a session's commits from the commits", "see .git/info/grafts"),
    "shallow": ("git does not stop at a commit whose parent is here", "git fetch --unshallow; see .git/shallow"),
    "name-case": ("no two sessions differ only in capital letters", "git branch -m relay/NAME SLUG"),
    "secret": (
        "nothing is recorded that redaction would take out today",
        "revoke it: git keeps what it has; git relay scan {session} lists all",
    ),
    "unsigned": ("every commit is signed (--require-signed)", "git log --show-signature {ref}"),
    "signature": ("every signature is good (--require-signed)", "git verify-commit -v {commit}"),
    "signer": (
        "every signer is known (--require-signed)",
        "name the allowed ssh keys with --allowed-signers FILE; gpg keys must be in your keyring and trusted",
    ),
    "witness-missing": ("what the witness has is here", "git fetch {witness} {ref}:{ref}"),
    "witness-behind": ("the witness has nothing that is not here", "git fetch {witness} {ref}:{ref}"),
    "witness-rewritten": (
        "a session goes on from what the witness has",
        "git fetch {witness} {ref}; git log --oneline {ref}...FETCH_HEAD",
    ),
}
# what an honest record may have too: told, and no finding
NOTES: Final[dict[str, tuple[str, str]]] = {
    "clock": (
        "dates are off by little, as they are after a clock was set",
        "git log --format='%h %cd %s' --date=iso {ref}",
    ),
    "unknown-trailer": ("a trailer is not known to this version", _LOOK),
    "not-a-session": ("a branch below relay/ is no session, and is left alone", "git log {ref}"),
}


@dataclass(frozen=True)
class Finding:
    """A broken rule: its `code`, the `address` of the exchange or the name of the session, the commit, and words."""

    code: str
    address: str
    commit: str
    message: str
    hint: str


# -- the rules ----------------------------------------------------------------------------------------


def finding(code: str, message: str, *, address: str, commit: str = "", ref: str = "", witness: str = "") -> Finding:
    """A finding with the hint of its rule."""
    session = address.partition("/")[0]
    code_ref = f"refs/relay/code/{session}"
    hint = (RULES.get(code) or NOTES[code])[1]
    hint = hint.format(commit=commit[:12], ref=ref, session=session, code=code_ref, witness=witness)
    return Finding(code, address, commit, message, hint)
