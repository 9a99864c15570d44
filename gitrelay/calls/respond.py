"""An answer that a peer or a person records itself, with `git relay res`."""

from __future__ import annotations

from gitrelay.errors import Code, UsageError
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol import frontmatter, names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Response
from gitrelay.protocol.record import Trailer
from gitrelay.text import quote


def respond(
    ledger: Ledger, *, session: str, re: str, from_: str, to: str, status: str, verify: str, body: str
) -> Exchange:
    """Record an answer that a peer or a person gives itself. Raises UsageError where it does not fit the request."""
    names.check_session(session, "--session")
    address = names.parse_address(f"{session}/{re}")
    found = exchanges.exchange(ledger, address)
    for option, given, wanted in (("--from", from_, found.to), ("--to", to, found.from_)):
        if given != wanted:
            raise UsageError(
                f"{option} {quote(given)} does not fit: {address} is from {found.from_} to {found.to}",
                hint=f"use {option} {wanted}",
                code=Code.WRONG_PARTY,
            )
    if not body.strip():
        raise UsageError("the answer is empty", hint="say something, or pipe it in", code=Code.EMPTY_BODY)
    try:
        frontmatter.decode(body.encode())
    except (BadMessage, UnicodeEncodeError) as e:
        raise UsageError(f"the answer is not text: {e}", code=Code.BAD_BODY) from None
    with locked(ledger, session) as held:
        tip = held.tip()
        if tip is None:
            raise UsageError(f"session {quote(session)} is archived", hint=f"git relay archive --restore {session}")
        response = Response(re, from_, to, status, verify, body)
        held.append_response(tip, response, {Trailer.RECORDED: "peer"}, files=snapshot.take(ledger.repo, session))
    return exchanges.exchange(ledger, address)
