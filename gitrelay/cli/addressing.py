"""The word for an exchange on a command line, as the exchange that is meant; what was guessed is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitrelay.cli.output import say
from gitrelay.errors import Code, UsageError
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address


def meant(ledger: Ledger, word: str | None, *, pick: bool = False) -> Address:
    """As `calls.addresses.meant`; the address is told on stderr if the word does not say the turn."""
    from gitrelay.calls import addresses

    address = addresses.meant(ledger, word, pick=pick)
    tell(address, word)
    return address


def tell(address: Address, word: str | None) -> None:
    """Say on stderr which exchange `word` means if the word does not say the turn."""
    from gitrelay.calls import addresses

    if str(address) != word and "/" not in addresses.plain(word or ""):
        say(str(address))


def all_meant(folder: Path, words: Sequence[str]) -> tuple[str, ...]:
    """The addresses that the words mean, for who has no ledger yet; none are looked up if there are none."""
    if not words:
        return ()
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(folder)
    return tuple(str(meant(ledger, word)) for word in words)


def split(ledger: Ledger, words: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """(the word for an address, None for none, and the words of a text) out of `[ADDRESS] [TEXT]`."""
    from gitrelay.calls import addresses

    if len(words) > 1 or (words and addresses.is_one(ledger, words[0])):
        return words[0], tuple(words[1:])
    return None, tuple(words)


def question(ledger: Ledger, word: str | None) -> Address:
    """The question that is meant; the latest that waits if none is named. Raises UsageError."""
    from gitrelay.history.questions import waiting

    if word is not None:
        return meant(ledger, word)
    found = waiting(ledger)
    if not found:
        raise UsageError("no question waits for an answer", hint="git relay ls --questions", code=Code.NO_QUESTION)
    say(str(found[0].address))
    return found[0].address


def unanswered(ledger: Ledger, words: Sequence[str]) -> tuple[Address, tuple[str, ...]]:
    """(the request that is to be answered by hand, the words of the answer); without an address the latest."""
    from gitrelay.calls import addresses

    word, rest = split(ledger, words)
    if word is not None:
        return meant(ledger, word), rest
    address = addresses.asked_of_nobody(ledger)
    say(str(address))
    return address, rest
