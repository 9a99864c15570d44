"""An order whose every word has been checked, so that nothing half-right is recorded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Final

from gitrelay.calls import below, budget, context, isolation, settings, wording
from gitrelay.calls.context import Handed
from gitrelay.calls.order import Alone, Order
from gitrelay.calls.settings import CallSettings, Choice
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain, quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.ledger import leavingout, redaction
from gitrelay.peers import command, registry
from gitrelay.peers.base import Peer
from gitrelay.peers.shell import Shell
from gitrelay.process.values import Limits
from gitrelay.protocol import frontmatter, names
from gitrelay.protocol.budget import Amount, Held
from gitrelay.protocol.footer import Form
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.words import Access

KEY_MAX: Final = 200
NO_QUESTIONS: Final = (
    "Ask nothing back: nobody can answer. Decide by yourself what is open, and write into your answer what you assumed."
)


@dataclass(frozen=True)
class Plan:
    """A request to one peer whose every word has been checked; without a `session` it is a one-shot called `name`."""

    task: str
    to: str
    from_: str
    session: str | None
    name: str
    chosen: CallSettings
    key: str | None
    checks: tuple[str, ...]
    check_limit: float | None
    binding: Mapping[str, str]
    bound: str
    notes: tuple[str, ...] = ()  # for the person who asks
    isolated: bool = False
    keep: str | None = None
    files: tuple[str, ...] = ()
    caps: tuple[tuple[str, str, Amount], ...] = ()
    at: str = ""
    alone: Alone | None = None
    excess: str = ""  # why it is not isolated although the settings say so
    hand_back: bool = False
    form: Form = field(default_factory=Form)
    below: str = ""  # the folder that the peer is started in, relative to the top
    context: tuple[Handed, ...] = ()

    @property
    def needs(self) -> Access:
        """The access that the call needs: a check is a command that gitrelay itself runs."""
        return max(self.chosen.access, Access.WRITE if self.checks else Access.READ, key=lambda one: one.rank)

    @property
    def one_shot(self) -> bool:
        return self.session is None

    @property
    def passing(self) -> bool:
        """Whether nobody comes back to it: its worktree and its workspace go with the call."""
        return self.one_shot or self.alone is not None


def make(repo: Repository, order: Order) -> list[Plan]:
    """One plan for each peer of `order`, in its order, so that none is asked before all can be.

    With several peers the sessions are `<session>-<peer>`, the one-shots `<name>-<peer>`, the keys `<key> <peer>`.
    Raises UsageError that quotes the word at fault.
    """
    if len(set(order.to)) < len(order.to):
        raise UsageError(f"--to {quote(' '.join(order.to))} names a peer twice", hint="ask each once", code=Code.TWICE)
    if order.invoke and repo.top is None:
        raise repo.has_no_tree(
            f"{quote_path(repo.git_dir)} is a bare repository: a peer has no working tree to work in",
            hint="call from a clone or a linked worktree; '--no-invoke' only records the request",
        )
    folder = below.wanted(repo, order.cwd) if order.alone is None else order.alone.below
    leavingout.size_limit(repo)
    _ = repo.users_limit  # a bad relay.filterTimeout is a usage error now, and not a call without trees
    settings.close_after(repo)
    settings.steps(repo)
    chosen = [_chosen(repo, peer, order) for peer in order.to]
    _check_key(repo, order.key)
    handed = context.wanted(repo, order.to, order.context)
    task = _task(order.task, _references(repo, order.to, order.files), context.named(handed), _no_questions(order))
    from_ = settings.caller(repo, order.from_)
    checks = _checks(repo, order.given.checks)
    limit = settings.check_limit(repo) if checks else None
    several = len(order.to) > 1
    name = order.name or ""
    if order.session is None and order.name is None:  # a task may begin with a secret, and the name becomes a branch
        name = names.name_of_task(redaction.redactor(repo).redact(order.task).text)
    plans = []
    for peer, its in zip(order.to, chosen, strict=True):
        names.check_slug(peer, "--to")
        suffix = f"-{peer}" if several else ""
        session = None if order.session is None else names.check_session(order.session + suffix, "--session")
        one_shot = names.check_slug(name + suffix, "--name") if session is None else name
        key = f"{order.key} {peer}" if several and order.key is not None else order.key
        plan = Plan(
            task=task,
            to=peer,
            from_=from_,
            session=session,
            name=one_shot,
            chosen=its,
            key=key,
            checks=checks,
            check_limit=limit,
            binding=order.binding,
            bound=order.bound,
            keep=order.given.keep,
            files=order.files,
            at=order.alone.tree if order.alone is not None else order.at,
            alone=order.alone,
            hand_back=order.given.hand_back,
            form=_form(repo, peer, order.alone),
            below=folder,
            context=handed,
        )
        if order.invoke:
            plan = _invoking(repo, plan, order, several)
        elif order.given.budget:  # of a worker's call
            plan = replace(plan, caps=budget.caps(repo, peer, order.given.budget))
        plans.append(plan)
    return plans


def _form(repo: Repository, peer: str, alone: Alone | None) -> Form:
    form = wording.form(repo, peer)
    if alone is None:
        return form
    return replace(form, template=form.template.replace("{context}", alone.context))


def _invoking(repo: Repository, plan: Plan, order: Order, several: bool) -> Plan:
    """`plan` with what matters only if the peer is invoked: where it works, what it may use, what a person is told."""
    peer = registry.find(repo, plan.to)
    notes = _notes(peer, plan.chosen, plan.task, sum(one.size for one in plan.context))
    isolated, excess = isolation.wanted(repo, plan.chosen.access, order.given.isolate, several=several)
    caps, told = _budget(repo, peer, plan.chosen, order)
    return replace(plan, notes=(*notes, *told), isolated=isolated, excess=excess, caps=caps)


def _notes(peer: Peer, chosen: CallSettings, task: str, more: int) -> tuple[str, ...]:
    """What to tell the person who asks. Raises UsageError for a task that the peer's command line cannot take.

    `more`: bytes that the prompt has above the task.
    """
    able, name = peer.capabilities, peer.name
    size = len(task.encode()) + more
    if able.prompt_max is not None and size > able.prompt_max:
        raise command.too_long(name, size)
    if chosen.access not in able.unheld:
        return ()
    return (
        f"{name} is not told that it has {chosen.access} access: what it changes is only seen afterwards; tell it with "
        f"{{access}} in relay.{name}.command, or set relay.{name}.{chosen.access}",
    )


def _budget(
    repo: Repository, peer: Peer, its: CallSettings, order: Order
) -> tuple[tuple[tuple[str, str, Amount], ...], tuple[str, ...]]:
    """(the caps of a call, what to tell the person of them). Raises UsageError."""
    caps = budget.caps(repo, peer.name, order.given.budget)
    blind = budget.unmeasured(Held(caps), peer.capabilities, budget.price(repo, its.model))
    if not blind:
        return caps, ()
    return caps, (f"{peer.name} does not tell what it uses ({', '.join(blind)} not measured): only time holds it",)


def _chosen(repo: Repository, peer: str, order: Order) -> CallSettings:
    given = order.given
    if not order.invoke:
        access = settings.access_of(Choice(given.access or Access.WRITE, "--access"))
        return CallSettings(access, given.model, given.effort, Limits())
    chosen = settings.for_call(repo, registry.find(repo, peer), given)
    settings.peer_environment(repo, peer)  # a bad one is a usage error now, not a failed call later
    return chosen


def _check_key(repo: Repository, key: str | None) -> None:
    if key is None:
        return
    if plain(key) != key or not key or len(key) > KEY_MAX:
        raise UsageError(
            f"--key {quote(key)} is not a key",
            hint=f"one line of at most {KEY_MAX} printable characters",
            code=Code.BAD_KEY,
        )
    if redaction.redactor(repo).redact(key).total:
        raise UsageError(
            "--key looks like a secret, and a key is recorded", hint="use a word of your own", code=Code.BAD_KEY
        )


def _checks(repo: Repository, given: Sequence[str]) -> tuple[str, ...]:
    """The commands of --check; one without a value is those of `relay.verify`. Raises UsageError."""
    found: list[str] = []
    for check in given:
        found += wording.verify(repo) if check == wording.VERIFY else [wording.checked(check)]
    if wording.VERIFY in given and not wording.verify(repo):
        raise UsageError(
            "--check without a command, and relay.verify names none",
            hint="git config --add relay.verify 'pytest -q'",
            code=Code.BAD_CHECK,
        )
    return tuple(dict.fromkeys(found))


def _references(repo: Repository, to: Sequence[str], files: Sequence[str]) -> list[str]:
    """The files as the peer finds them: from the top of the working tree on, or absolute.

    Raises UsageError for a file that is not there, and for a peer that takes the whole task as a command.
    """
    if files and Shell.name in to:
        raise UsageError(
            f"--file {quote(files[0])} does not go with --to {Shell.name}: its task is a command, and the "
            "file's name would be run as one",
            hint="name the file in the command itself",
        )
    found = []
    for file in files:
        places = [Path(os.path.normpath(place / file)) for place in (Path.cwd(), repo.place)]
        at = next((path for path in places if path.exists()), None)
        if at is None or "\n" in file:
            raise UsageError(
                f"--file {quote(file)} is not there",
                hint=f"a path from {quote_path(Path.cwd())} or from {quote_path(repo.place)}, or an absolute one",
            )
        below = at.is_relative_to(repo.place) and not os.path.isabs(file)
        found.append(os.path.relpath(at, repo.place) if below else str(at))
    return found


def _no_questions(order: Order) -> str:
    """What a task ends with if the peer is to ask nothing back. Raises UsageError if the task is a command."""
    if order.questions:
        return ""
    if Shell.name in order.to:
        raise UsageError(
            f"--no-questions does not go with --to {Shell.name}: its task is a command", hint="leave it out"
        )
    return NO_QUESTIONS


def _task(task: str, files: Sequence[str], *more: str) -> str:
    """The task with its file references and `more` paragraphs. Raises UsageError for an empty, large or binary one."""
    if not task.strip():
        raise UsageError("the task is empty", hint="say what the peer is to do, or pipe it in", code=Code.EMPTY_TASK)
    if files:
        task = task + "\n\nFiles:\n" + "\n".join(f"- {file}" for file in files)
    task = "\n\n".join([task, *filter(None, more)])
    try:
        data = task.encode()
        if len(data) > frontmatter.MAX_BYTES - 4096:
            raise UsageError(
                f"the task has {len(data)} bytes; at most {frontmatter.MAX_BYTES - 4096} can be recorded",
                hint="put the material into a file and refer to it with --file",
                code=Code.TASK_TOO_LARGE,
            )
        frontmatter.decode(data)
    except UnicodeEncodeError as e:
        raise UsageError(
            f"the task is not valid text: {quote(task[max(0, e.start - 10) : e.end + 10])}",
            hint="it must be UTF-8",
            code=Code.BAD_TASK,
        ) from None
    except BadMessage as e:
        raise UsageError(
            f"the task is not text: {e}", hint="refer to binary files with --file", code=Code.BAD_TASK
        ) from None
    return task
