"""Ways in that nobody has said of who may use them: decisions, so that one can be planted.

Each function gives what is forgotten, by name; of the real tables that is nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
from quart import Quart

from beamclaw.config.schema import HooksConfig
from beamclaw.config.tool_names import GROUPS
from beamclaw.contracts.outside import InlineWorker
from beamclaw.contracts.tools import ToolSpec
from beamclaw.gateway import app, permission
from beamclaw.gateway.admission import OPEN_PATHS
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.control_ui import ControlUi
from beamclaw.gateway.methods._method import Method

# Anybody may ask these: they say that the node is there, are the page's program, or take
# the code of a link. One more is a decision, and this list is where it is taken.
PROGRAM = [
    "access.js",
    "app.js",
    "approvals.js",
    "chart.js",
    "chat.js",
    "composer.js",
    "conversation.js",
    "dom.js",
    "finding.js",
    "health.js",
    "hours.js",
    "icon.svg",
    "keys.js",
    "logs.js",
    "markdown.js",
    "parts.js",
    "said.js",
    "sessions.js",
    "spending.js",
    "style.css",
    "tree.js",
    "viewport.js",
    "wire.js",
    "words.js",
]
OPEN = frozenset(
    {
        "/",
        "/page/",
        "/page/enter",
        "/healthz",
        "/health",
        "/readyz",
        "/ready",
        "/startupz",
        *(f"/page/{name}" for name in PROGRAM),
    }
)


def application() -> app.GatewayApp:
    """The application for its paths alone, with everything that can be switched on."""
    rooms: dict[str, Any] = {field.name: None for field in attrs.fields(app.Rooms)}
    rooms["turns"] = SimpleNamespace(bus=None)
    rooms["hooks"] = HooksConfig(enabled=True)
    rooms["whole"] = True
    rooms["auth_mode"] = "token"
    rooms["control_ui"] = ControlUi(
        root=Path(), base="", files=frozenset(), worker=InlineWorker()
    )
    return app.build(app.Rooms(**rooms))


def paths(application: Quart) -> set[str]:
    """What is not open to all, as ``GET /v1/models``."""
    return {
        f"{method} {rule.rule}"
        for rule in application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
        if rule.rule not in OPEN
    }


def forgotten_paths(application: Quart) -> set[str]:
    """Paths without a scope, and paths that are open and ought not to be."""
    scoped = {
        path for path, needed in permission.SCOPES.items() if needed in scopes.ALL
    }
    return (paths(application) - scoped) | (OPEN_PATHS - OPEN)


def forgotten_methods(methods: Mapping[str, Method]) -> set[str]:
    """Methods without a scope."""
    known = {*scopes.ALL, scopes.NODE}
    return {name for name, each in methods.items() if each.scope not in known}


def forgotten_tools(specs: Iterable[ToolSpec]) -> set[str]:
    """Tools that no group of the policy has: denying their group would not deny them."""
    grouped = {(group, name) for group, names in GROUPS.items() for name in names}
    return {spec.name for spec in specs if (spec.group, spec.name) not in grouped}
