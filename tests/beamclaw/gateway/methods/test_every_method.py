"""What is proved: each method has a scope, and whoever lacks it is refused; none is left out.

The methods are those of the table, so one that is added is tested here by being there.
"""

import re

import pytest

from beamclaw.gateway.auth import scopes
from beamclaw.gateway.methods.table import METHODS
from tests.beamclaw.gateway.socket.talk import connected

# What a request needs is looked at before what is in it.
NOTHING = {"no-such-parameter": None}


def lacking(needed: str) -> list[str]:
    """As much as one can have without *needed*."""
    if needed == scopes.ADMIN:
        return sorted(scopes.ALL - {scopes.ADMIN})
    return sorted(
        each for each in scopes.ALL if not scopes.allows(frozenset({each}), needed)
    )


def test_each_method_says_who_may_ask_for_it():
    known = {*scopes.ALL, scopes.NODE}
    assert {name for name, each in METHODS.items() if each.scope not in known} == set()


CHANGES = re.compile(
    r"\.(set|patch\w*|apply|create|update|delete|remove|reset|rewind|fork|abort|send"
    r"|inject|approve|reject|resolve|revoke|rotate|rename|cleanup)$"
)
# It looks a key up, and changes nothing.
LOOKS = {"sessions.resolve"}


def test_what_changes_something_needs_more_than_to_look():
    changes = {name for name in METHODS if CHANGES.search(name)} - LOOKS
    assert "config.set" in changes
    wrong = {name for name in changes if METHODS[name].scope == scopes.READ}
    assert wrong == set()


@pytest.mark.parametrize("needed", sorted(scopes.ALL))
async def test_who_lacks_its_scope_is_refused_each_method(node, needed):
    methods = [name for name, each in METHODS.items() if each.scope == needed]
    async with connected(node.port, scopes=lacking(needed)) as talk:
        for name in methods:
            error = (await talk.call(name, NOTHING))["error"]
            found = (error["code"], error["details"]["code"])
            assert found == ("FORBIDDEN", "MISSING_SCOPE"), name
    assert node.tenant.accepted == {}


@pytest.mark.parametrize("needed", sorted(scopes.ALL))
async def test_who_has_its_scope_is_told_what_is_wrong_with_the_request(node, needed):
    methods = [name for name, each in METHODS.items() if each.scope == needed]
    async with connected(node.port, scopes=[needed]) as talk:
        for name in methods:
            error = (await talk.call(name, NOTHING))["error"]
            assert error["code"] == "INVALID_REQUEST", name
            assert name in error["message"]


async def test_a_method_of_nodes_is_not_for_operators(node):
    methods = [name for name, each in METHODS.items() if each.scope == scopes.NODE]
    async with connected(node.port) as talk:
        for name in methods:
            error = (await talk.call(name, NOTHING))["error"]
            assert error["message"].startswith("unauthorized role"), name
