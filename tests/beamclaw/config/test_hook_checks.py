"""What is proved: hooks that let in strangers, or lead nowhere, are refused at the start."""

import pytest

from beamclaw.config.hook_checks import errors
from beamclaw.config.redactor import redactor
from beamclaw.config.schema import (
    AuthConfig,
    Config,
    GatewayConfig,
    HookConfig,
    HooksConfig,
)
from beamclaw.contracts.secret import Secret

GOOD = Secret("a-token-of-its-own")


def found(**hooks) -> list[str]:
    auth = AuthConfig(token=Secret("the-token-of-the-gateway"))
    config = Config(gateway=GatewayConfig(auth=auth), hooks=HooksConfig(**hooks))
    return [path for path, _ in errors(config)]


@pytest.mark.parametrize(
    ("hooks", "paths"),
    [
        ({}, []),
        ({"enabled": True, "token": GOOD}, []),
        ({"enabled": True}, ["hooks.token"]),
        ({"enabled": True, "token": Secret("short")}, ["hooks.token"]),
        ({"enabled": True, "token": Secret("with\nbreaks" * 3)}, ["hooks.token"]),
        (
            {"enabled": True, "token": Secret("the-token-of-the-gateway")},
            ["hooks.token"],
        ),
        ({"agents": ("nobody",)}, ["hooks.agents[0]"]),
        (
            {"mappings": {"m": HookConfig(agent="nobody")}},
            ["hooks.mappings.m.agent", "hooks.mappings.m.message"],
        ),
        ({"mappings": {"m": HookConfig(message="x", session="hook:m")}}, []),
        (
            {"mappings": {"m": HookConfig(message="x", session="main")}},
            ["hooks.mappings.m.session"],
        ),
        (
            {"mappings": {"m": HookConfig(message="x", session="agent:a:hook:m")}},
            ["hooks.mappings.m.session"],
        ),
        (
            {"mappings": {"m": HookConfig(message="x", session="hook:ö")}},
            ["hooks.mappings.m.session"],
        ),
    ],
)
def test_what_cannot_be_used(hooks, paths):
    assert found(**hooks) == paths


def test_the_token_is_shown_nowhere():
    config = Config(hooks=HooksConfig(token=GOOD))
    assert GOOD.reveal() not in redactor(config).scrub(f"x {GOOD.reveal()}")
