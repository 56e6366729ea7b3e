"""What is decided from a table of methods: who may ask for what."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.errors import MethodError, invalid, missing_scope
from beamclaw.gateway.methods._method import Method


class TwiceError(ValueError):
    """Two methods have one name."""


def table_of(methods: Iterable[Method]) -> Mapping[str, Method]:
    """*methods* by name.

    Raises:
        TwiceError: One is there twice.
    """
    table: dict[str, Method] = {}
    for each in methods:
        if table.setdefault(each.name, each) is not each:
            raise TwiceError(each.name)
    return MappingProxyType(dict(sorted(table.items())))


def find(table: Mapping[str, Method], name: str, principal: Principal) -> Method:
    """The method *name*, if *principal* may know of it.

    Whoever does not administer the node is not told which methods there are: what is
    unknown is to them something they may not do.

    Raises:
        MethodError: There is none, or they may not ask for it.
    """
    found = table.get(name)
    if found is None:
        raise unknown(name, principal)
    if (found.scope == scopes.NODE) != (principal.role == "node"):
        raise invalid(f"unauthorized role: {principal.role}")
    if found.scope != scopes.NODE and not principal.may(found.scope):
        raise missing_scope(found.scope, [found.scope])
    return found


def unknown(name: str, principal: Principal) -> MethodError:
    """What who asks for the method *name*, which does not exist, is told."""
    if principal.may(scopes.ADMIN):
        return invalid(f"unknown method: {name[:100]}")
    return missing_scope(scopes.ADMIN, [scopes.ADMIN])


def advertised(table: Mapping[str, Method], principal: Principal) -> list[str]:
    """Names of the methods, as a client is greeted with them."""
    of_nodes = principal.role == "node"
    return [
        name for name, each in table.items() if (each.scope == scopes.NODE) == of_nodes
    ]
