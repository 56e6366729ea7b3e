"""Responses that are kept: where one stands that another follows. Decisions without I/O."""

import attrs

from beamclaw.contracts import keys
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.problem import Problem, invalid


def behind(ask: Ask, row: RunRow | None) -> Ask | Problem:
    """*ask* in the conversation of the response it follows, which is *row*'s."""
    named = ask.previous or ""
    if row is None or not row.about:
        return invalid(
            f"there is no response {named[:80]!r}, or not any more; it may have been "
            "deleted, or asked for with store false",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    key = keys.parse(row.session_key)
    if key.agent != ask.agent:
        return invalid(
            f"the response {named!r} is of agent {key.agent!r}, the request names "
            f"{ask.agent!r}",
            param="previous_response_id",
        )
    if ask.session is not None and ask.session != key:
        return invalid(
            "previous_response_id belongs to another conversation than "
            "x-openclaw-session-key or user name; leave one of them out",
            param="previous_response_id",
        )
    # A lasting conversation of its own name just goes on. One that is only known by its
    # responses goes on from the one that is named, whatever came after that.
    follows = named if key.kind == "http-response" else None
    return attrs.evolve(ask, session=key, follows=follows)
