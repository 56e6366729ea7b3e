"""All methods by name. A node that starts does not wait for them."""

from beamclaw.gateway.methods import (
    agent,
    agents,
    approvals,
    chat,
    config,
    devices,
    exec_policy,
    following,
    health,
    offers,
    session_acts,
    session_looks,
    session_usage,
    session_ways,
    starting,
    system,
    tools,
    usage,
)
from beamclaw.gateway.methods.finding import table_of

METHODS = table_of(
    (
        agent.agent,
        agent.wait,
        chat.abort,
        chat.history,
        chat.inject,
        chat.send,
        following.follow,
        following.subscribe,
        following.unfollow,
        health.health,
        health.status,
        health.system_presence,
        *approvals.METHODS,
        *config.METHODS,
        *devices.METHODS,
        *exec_policy.METHODS,
        *agents.METHODS,
        *offers.METHODS,
        *session_looks.METHODS,
        *session_acts.METHODS,
        *session_usage.METHODS,
        *session_ways.METHODS,
        *starting.METHODS,
        *system.METHODS,
        *tools.METHODS,
        *usage.METHODS,
    )
)
