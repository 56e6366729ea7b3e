"""Registered names, groups and topics. Whatever belongs to a tenant begins with it."""

from typing import Final

# The tenant that a node has until there are more.
DEFAULT_TENANT: Final = "default"
# Whoever notices that the loop is held up.
WATCHDOG: Final = "telemetry/watchdog"

# Parts of names behind which there are as many as sessions, turns and what they do.
MANY: Final = ("session", "run", "call", "command")


def of_tenant(tenant: str, part: str) -> str:
    """The name of a tenant's part, for example ``default/ledger``."""
    return f"{tenant}/{part}"


def session(tenant: str, key: str) -> str:
    """The name of the process of session *key*, while it is awake."""
    return f"{tenant}/session/{key}"


def run(tenant: str, run_id: str) -> str:
    """The name of the process of a run, while its turn is in progress."""
    return f"{tenant}/run/{run_id}"


def call(tenant: str, run_id: str, call_id: str) -> str:
    """The name of the process of a tool call, until its result is in the journal."""
    return f"{tenant}/call/{run_id}/{call_id}"


def command(tenant: str, command_id: str) -> str:
    """The name of the process that holds a command, while it is known."""
    return f"{tenant}/command/{command_id}"


def topic(tenant: str, key: str) -> str:
    """The bus topic on which everything visible in session *key* is published."""
    return f"{tenant}/topic/{key}"


def journal(tenant: str, key: str) -> str:
    """The bus topic on which what session *key* has written down is published."""
    return f"{tenant}/journal/{key}"


def permits(provider: str, key: int = 0) -> str:
    """The name of the permit server of *provider*, for one of its keys (0: the first)."""
    return f"providers/{of_key(provider, key)}"


def of_key(provider: str, key: int) -> str:
    """How one of a provider's keys is called: ``openai``, ``openai#2``, ``openai#3``."""
    return provider if key == 0 else f"{provider}#{key + 1}"
