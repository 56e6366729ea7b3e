"""A whole node inside the test's own program, so that a test can reach each process."""
# ruff: noqa: ASYNC110 -- what comes up again is looked for, it tells nobody

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

import supervision
from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    Config,
    GatewayConfig,
    ProviderConfig,
)
from beamclaw.contracts import gateway
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.toolbox import AnyTool
from beamclaw.storage import private_folder
from beamclaw.toolbox import ToolsOf
from beamclaw.tree import REAL, tree
from tests.support.node import completion
from tests.support.wire import DONE, Closed, Connection, Response

TOKEN = "token-of-the-test"
PATH = "/v1/chat/completions"


def no_tools(agent: str) -> Mapping[str, AnyTool]:
    """The tools of a node that has none."""
    del agent
    return {}


def configuration(data: Path, model_url: str, **provider: Any) -> Config:
    """A node that asks the fake at *model_url*; *provider* are more of its settings."""
    return Config(
        data=data,
        providers={
            "openai": ProviderConfig(
                api="openai",
                base_url=model_url,
                api_key=Secret("key-of-the-test"),
                retry_first=0.01,
                **provider,
            )
        },
        agents={"main": AgentConfig(model="openai/t5-w0-g0")},
        gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN))),
    )


@attrs.define
class Reader:
    """A client's stream, read in the background.

    Attributes:
        text: What came so far.
        status: Of the response; None before its first byte.
        whole: It ended in order: a finish reason and ``[DONE]``.
        errors: Errors inside the stream.
        changed: Whoever waits for more is parked here.
    """

    text: str = ""
    status: int | None = None
    whole: bool = False
    over: bool = False
    errors: list[object] = attrs.field(factory=list)
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def wait_text(self) -> None:
        while not self.text and not self.over:
            await self.changed.park()

    async def wait_over(self) -> None:
        while not self.over:
            await self.changed.park()


@attrs.define
class Inside:
    """The node, as a test sees it."""

    config: Config
    root: supervision.Pid

    @property
    def ledger(self) -> Path:
        return self.config.data / "tenants" / "default" / "ledger.db"

    async def url(self) -> str:
        """Where it listens, once it does."""
        while (address := gateway.address()) is None:
            await trio.sleep(0.001)
        return address.url

    def headers(
        self, key: str, model: str, *, session: str | None = "agent:main:crash"
    ) -> dict[str, str]:
        named = {} if session is None else {"x-openclaw-session-key": session}
        return {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "x-openclaw-model": f"openai/{model}",
            **named,
        }

    async def ask(
        self, text: str, headers: dict[str, str], *, wait: float = 5.0
    ) -> Response:
        """A whole answer; sent again while the gateway is being restarted."""
        with trio.fail_after(wait):
            while True:
                try:
                    with await Connection.open(await self.url()) as connection:
                        answer = await connection.request(
                            "POST", PATH, headers, completion(text)
                        )
                except (Closed, ConnectionRefusedError):
                    await trio.sleep(0.01)
                    continue
                if answer.status != 503:
                    return answer
                await trio.sleep(0.01)

    async def stream(self, text: str, headers: dict[str, str], reader: Reader) -> None:
        """The same as a stream, on one connection, to its end."""
        body = completion(text, stream=True)
        try:
            with await Connection.open(await self.url()) as connection:
                head = await connection.ask("POST", PATH, headers, body)
                reader.status = head.status
                reader.changed.unpark_all()
                finished = False
                async for data in connection.events():
                    if data == DONE:
                        reader.whole = finished and not reader.errors
                        break
                    value = orjson.loads(data)
                    if "error" in value:
                        reader.errors.append(value["error"])
                    for choice in value.get("choices", ()):
                        reader.text += choice["delta"].get("content") or ""
                        finished = finished or choice.get("finish_reason") == "stop"
                    reader.changed.unpark_all()
        except (Closed, ConnectionRefusedError):
            pass
        finally:
            reader.over = True
            reader.changed.unpark_all()


@asynccontextmanager
async def open_inside(
    config: Config, outside: Outside = REAL, toolbox: ToolsOf | None = no_tools
) -> AsyncIterator[Inside]:
    """The node's tree, running."""
    private_folder(config.data)
    top = supervision.ChildSpec(
        "beamclaw",
        partial(tree, config, outside, toolbox),
        type="supervisor",
        shutdown=None,
    )
    async with supervision.open_supervisor([top]) as root:
        yield Inside(config, root)
