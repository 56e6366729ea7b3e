"""What is proved: no path, method or tool is there that nobody has said who may use it.

Whoever adds one is told here; that it is told, one that is planted proves. Each path is
then asked for over a real connection by those who may not.
"""

import re

import attrs
import pytest
from quart import Quart

import supervision
from beamclaw.config import Config
from beamclaw.config.schema import ControlUiConfig, HooksConfig
from beamclaw.contracts.devices import NAME, SCOPES, Actor, CreateKey
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.tools import Group, ToolSpec
from beamclaw.gateway import permission
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.methods.table import METHODS
from beamclaw.toolbox import all_tools
from beamclaw.tools import Plugins
from beamclaw.tree import subagent_rules
from tests.attacks.surfaces import (
    OPEN,
    application,
    forgotten_methods,
    forgotten_paths,
    forgotten_tools,
    paths,
)
from tests.beamclaw.gateway.edge import TOKEN, running

HOOK = "canary-of-the-hooks"
HOOKS = HooksConfig(enabled=True, token=Secret(HOOK), agents=("main",))


def specs() -> list[ToolSpec]:
    config = Config()
    rules = subagent_rules(config)
    tools = all_tools(config, Outside(), "default", rules, Plugins())("main")
    return [tool.spec for tool in tools.values()]


def test_every_path_method_and_tool_says_who_may_use_it():
    assert forgotten_paths(application()) == set()
    assert forgotten_methods(METHODS) == set()
    assert forgotten_tools(specs()) == set()
    # Nor is there a scope for what is not there: it would be thought to be guarded.
    assert permission.SCOPES.keys() <= paths(application())


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE", "PUT"])
def test_a_path_that_is_planted_is_found(verb: str):
    app = application()
    app.add_url_rule("/planted/<name>", "planted", lambda name: name, methods=[verb])
    assert forgotten_paths(app) == {f"{verb} /planted/<name>"}


def test_another_verb_of_a_path_that_there_is_is_found():
    app: Quart = application()
    app.add_url_rule("/v1/models", "planted", lambda: "", methods=["DELETE"])
    assert forgotten_paths(app) == {"DELETE /v1/models"}


def test_a_path_that_is_opened_to_all_is_found(monkeypatch):
    opened = permission.OPEN_PATHS | {"/v1/models"}
    monkeypatch.setattr("tests.attacks.surfaces.OPEN_PATHS", opened)
    assert forgotten_paths(application()) == {"/v1/models"}


@pytest.mark.parametrize("scope", ["", "operator.everybody"])
def test_a_method_that_is_planted_is_found(scope: str):
    planted = attrs.evolve(METHODS["health"], name="planted", scope=scope)
    assert forgotten_methods({**METHODS, "planted": planted}) == {"planted"}


@pytest.mark.parametrize("group", ["", "runtime"])
def test_a_tool_that_is_planted_is_found(group: Group):
    planted = ToolSpec(
        name="planted", description="x", parameters={}, effect="pure", group=group
    )
    assert forgotten_tools([*specs(), planted]) == {"planted"}


# --- each path, by who may not


def sample(path: str) -> tuple[str, str]:
    verb, _, rule = path.partition(" ")
    return verb, re.sub(r"<[^>]*>", "x", rule)


async def key(*names: str) -> str:
    actor = Actor(by="owner", scopes=SCOPES)
    order = CreateKey(actor=actor, tenant="default", name="x", scopes=names)
    return (await supervision.call(NAME, order)).secret


async def test_every_path_is_refused_to_who_may_not(tmp_path):
    (tmp_path / "index.html").write_text("<html></html>")
    (tmp_path / "x.js").write_text("1")
    ui = ControlUiConfig(root=tmp_path, base_path="/ui")
    wrong: list[object] = []
    async with running(hooks=HOOKS, control_ui=ui) as node:
        little = await key(scopes.APPROVALS)
        for path in sorted(paths(application())):
            verb, at = sample(path)
            body = b"{}" if verb == "POST" else b""
            hooked = path.startswith("POST /hooks")
            for token, status in (
                (None, 401),
                ("wrong", 401),
                (HOOK, 401) if not hooked else (TOKEN, 401),
                (little, 401 if hooked else 403),
            ):
                answer = await node.request(verb, at, body, token=token)
                if answer.status != status:
                    wrong.append((path, token, answer.status))
        assert node.tenant.accepted == {}
    assert wrong == []


async def test_no_path_is_for_pages_or_names_of_others(tmp_path):
    (tmp_path / "index.html").write_text("<html></html>")
    ui = ControlUiConfig(root=tmp_path, base_path="/ui")
    wrong: list[object] = []
    everything = paths(application()) | {f"GET {path}" for path in OPEN}
    everything = everything - {"GET /page/enter"} | {"POST /page/enter"}
    everything |= {"GET /ui/", "GET /ui/control-ui-config.json", "OPTIONS /v1/models"}
    async with running(hooks=HOOKS, control_ui=ui) as node:
        for path in sorted(everything):
            verb, at = sample(path)
            for headers, status in (
                ({"host": "evil.example"}, 421),
                ({"origin": "https://evil.example"}, 403),
                ({"origin": "null"}, 403),
            ):
                answer = await node.request(verb, at, b"", headers)
                if answer.status != status:
                    wrong.append((path, headers, answer.status))
    assert wrong == []
