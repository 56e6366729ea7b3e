"""Scopes: what somebody may do, and which of them contain others. Pure."""

from collections.abc import Iterable
from typing import Final

READ: Final = "operator.read"
WRITE: Final = "operator.write"
ADMIN: Final = "operator.admin"
APPROVALS: Final = "operator.approvals"
QUESTIONS: Final = "operator.questions"
PAIRING: Final = "operator.pairing"
# OpenClaw has them, no method here needs one: they are granted and mean nothing.
TALK: Final = "operator.talk"
TALK_SECRETS: Final = "operator.talk.secrets"
# What a method asks of a device that offers tools of its own; no operator has it.
NODE: Final = "node"

# What a valid shared secret stands for: its holder owns the node.
ALL: Final = frozenset(
    {READ, WRITE, ADMIN, APPROVALS, QUESTIONS, PAIRING, TALK, TALK_SECRETS}
)


def allows(held: frozenset[str], needed: str) -> bool:
    """Whether somebody with the scopes *held* may do what needs *needed*.

    ``operator.admin`` contains every scope of operators and ``operator.write``
    contains ``operator.read``; every other one stands for itself alone.

    >>> allows(frozenset({"operator.write"}), "operator.read")
    True
    >>> allows(frozenset({"operator.read"}), "operator.write")
    False
    """
    if needed in held:
        return True
    if not needed.startswith("operator."):
        return False
    return ADMIN in held or (needed == READ and WRITE in held)


def granted(asked: Iterable[str], stored: frozenset[str]) -> frozenset[str]:
    """Of the scopes *asked* for those that *stored* ones contain.

    What somebody says of himself never adds to what is known of him.
    """
    return frozenset(scope for scope in asked if allows(stored, scope))
