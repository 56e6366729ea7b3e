"""What is proved: the inside of a node is for who may be its owner, and nobody else.

And that no page which a node sends loads a picture from elsewhere, whatever a model has
written into an answer.
"""

import attrs
import pytest

from beamclaw.bus import LocalBus
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.config.schema import ShellConfig
from beamclaw.contracts.looking import LOOKS, Failed
from beamclaw.contracts.outside import Outside
from beamclaw.gateway import control_ui
from beamclaw.gateway import page as own
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.methods import looking
from beamclaw.gateway.methods.table import METHODS
from beamclaw.shell import methods as shell
from beamclaw.shell.orders import allow_expressions
from beamclaw.shell.request import Node
from tests.attacks.surfaces import application, paths

INSIDE = ("look.", "steer.", "trace", "eval")


def insides() -> list[str]:
    return [name for name in shell.METHODS if name.startswith(INSIDE)]


def test_the_inside_is_for_who_administers_the_node():
    assert len(insides()) > 15
    # Over the gateway there is one way in, and it asks for that scope beside its own.
    assert not set(insides()) & set(METHODS)
    for name in [*insides(), "no.such.order"]:
        needed = looking.needs(looking.ShellParams(order=name))
        assert needed == (() if name in LOOKS else (scopes.ADMIN,)), name
    # How processes stand is no secret; what is in them, and taking hold of them, is.
    assert not {name for name in LOOKS if name.startswith(("steer.", "trace", "eval"))}
    assert not LOOKS & {"look.state", "look.mailbox", "look.leaks"}
    words = {"look", "steer", "trace", "eval", "shell"}
    assert [path for path in paths(application()) if words & set(path.split("/"))] == []


def test_no_expression_runs_unless_the_owner_has_said_so():
    assert Config().shell.expressions is False


def test_no_expression_runs_over_the_network_by_what_allows_it_on_the_machine():
    for said in (True, "socket"):
        current = Current(Config(shell=ShellConfig(expressions=said)))
        node = Node(current=current, bus=LocalBus(), outside=Outside(threads=False))
        allow_expressions(node)
        with pytest.raises(Failed, match="everywhere"):
            allow_expressions(attrs.evolve(node, over_gateway=True))


def page_policies() -> dict[str, str]:
    return {
        "the node's page": own.policy("127.0.0.1:1"),
        "the Control UI": control_ui.policy("<html></html>", "127.0.0.1:1"),
    }


@pytest.mark.parametrize("page", page_policies())
def test_no_page_asks_another_host_for_what_a_model_has_written(page):
    rules = {
        name: set(sources.split())
        for name, _, sources in (
            rule.strip().partition(" ") for rule in page_policies()[page].split(";")
        )
    }
    near = {"'self'", "'none'", "data:", "blob:"}
    for kind in ("img-src", "media-src", "font-src", "frame-src", "object-src"):
        assert rules.get(kind, rules["default-src"]) <= near, kind
    # Nor is a person led there by a form that looks like ours.
    assert rules["form-action"] <= near
