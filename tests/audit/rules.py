"""The auditor: what was promised against what everybody saw, one function per rule.

It knows nothing of the node's code, see :mod:`tests.audit.known` for its sources. A rule
says what it found in words; nothing is nothing. Each module below is one promise's.
"""

from tests.audit import (
    context,
    effects,
    files,
    notices,
    order,
    pages,
    relatives,
    sessions,
    spending,
    vectors,
    words,
)
from tests.audit.known import RULES, Known

# Imported for the rules that they enter into the table.
MODULES = (
    words,
    effects,
    notices,
    files,
    pages,
    order,
    spending,
    vectors,
    context,
    relatives,
    sessions,
)


def violations(known: Known) -> list[str]:
    """What was broken, each with the name of its rule."""
    return [
        f"{name}: {found}" for name, check in RULES.items() for found in check(known)
    ]
