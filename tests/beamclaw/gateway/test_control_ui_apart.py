"""What is proved: at its own address there is the Control UI, all that it needs, and no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from beamclaw.config.schema import AuthConfig, ControlUiConfig, HooksConfig
from beamclaw.contracts import gateway as contract
from beamclaw.contracts.secret import Secret
from tests.attacks.surfaces import application, paths
from tests.beamclaw.gateway.edge import TOKEN, Answer, Node, kill, read_all, running
from tests.beamclaw.gateway.socket.talk import opened, params
from tests.beamclaw.gateway.socket.test_client import UPGRADE
from tests.beamclaw.gateway.test_processes import refusal

HOOKS = HooksConfig(enabled=True, token=Secret("canary-of-the-hooks"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<html>the program</html>")
    (tmp_path / "a.js").write_text("1")
    return tmp_path


@attrs.define
class Both:
    """A gateway, and what stands at the Control UI's own address."""

    node: Node
    port: int

    async def get(
        self, path: str, *, token: str | None = TOKEN, verb: str = "GET", **headers: str
    ) -> Answer:
        given = {"host": f"127.0.0.1:{self.port}", "connection": "close", **headers}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        lines = [f"{name}: {value}" for name, value in given.items()]
        head = "\r\n".join([f"{verb} {path} HTTP/1.1", *lines, "", ""])
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            with trio.fail_after(60):
                await stream.send_all(head.encode())
                return Answer.of(await read_all(stream))


@asynccontextmanager
async def both(root: Path, **more: Any) -> AsyncIterator[Both]:
    ui = ControlUiConfig(root=root, port=0, **more)
    async with running(control_ui=ui, hooks=HOOKS) as node:
        found = (await node.status()).control_ui
        assert found is not None
        assert found.port != node.port
        yield Both(node, found.port)


async def test_the_program_is_at_its_own_address_alone(root: Path):
    async with both(root) as here:
        page = await here.get("/", token=None)
        assert b"the program" in page.body
        assert (await here.get("/a.js", token=None)).body == b"1"
        facts = await here.get("/control-ui-config.json")
        assert facts.json["assistantAgentId"] == "main"
        assert (await here.get("/healthz", token=None)).status == 200
        theirs = await here.node.request("GET", "/", token=None)
        assert theirs.status == 200
        assert b"the program" not in theirs.body
        assert (await here.node.request("GET", "/a.js")).status == 404
        missing = await here.node.request("GET", "/control-ui-config.json")
        assert missing.status == 404


async def test_nothing_of_the_gateway_is_there(root: Path):
    async with both(root) as here:
        for path in sorted(paths(application())):
            verb, _, rule = path.partition(" ")
            if rule == "/control-ui-config.json":
                continue
            at = (
                rule.replace("<path:", "<")
                .replace("<name>", "x")
                .replace("<place>", "x")
            )
            told = await here.get(at, verb=verb, **{"content-length": "0"})
            assert told.status == 404, path
            told = await here.get(at, verb=verb, token=None, **{"content-length": "0"})
            assert told.status == 401, path
        assert (await here.get("/control-ui-config.json", token=None)).status == 401
        assert here.node.tenant.accepted == {}


async def test_its_page_talks_to_the_gateway_from_there(root: Path):
    async with both(root) as here:
        own = [("Origin", f"http://127.0.0.1:{here.port}")]
        async with opened(here.port, extra_headers=own) as talk:
            await talk.receive()
            assert (await talk.call("connect", params()))["ok"]
            assert (await talk.call("health"))["ok"]
        for given, status in (
            ({"origin": f"http://127.0.0.1:{here.node.port}"}, 403),
            ({"origin": "https://evil.example"}, 403),
            ({"host": "evil.example"}, 421),
        ):
            assert (await here.get("/", **(UPGRADE | given))).status == status


async def test_below_a_path_there_is_nothing_above_it(root: Path):
    async with both(root, base_path="/claw") as here:
        assert b"the program" in (await here.get("/claw/", token=None)).body
        assert (await here.get("/claw", token=None)).headers["location"] == "/claw/"
        assert (await here.get("/", token=None)).status == 404


@pytest.mark.parametrize("name", ["gateway/control_ui", "gateway", "gateway/server"])
async def test_whoever_dies_of_it_the_address_stays(root: Path, name: str):
    async with both(root) as here:
        await kill(name)
        assert (await here.get("/a.js", token=None)).status == 200
        assert (await here.node.status()).control_ui == contract.Address(
            "127.0.0.1", here.port
        )


async def test_an_address_that_cannot_be_had_is_said_in_words(root: Path):
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ui = ControlUiConfig(root=root, port=port)
        words = await refusal(control_ui=ui)
    assert words.startswith(f"port {port} on 127.0.0.1 is in use")
    assert "gateway.control_ui.port" in words
    assert "--port" not in words


async def test_others_are_not_let_in_by_that_door_without_a_token(root: Path):
    ui = ControlUiConfig(root=root, port=0, host="0.0.0.0")
    words = await refusal(control_ui=ui, auth=AuthConfig(mode="none"))
    assert "0.0.0.0, which others can reach" in words
