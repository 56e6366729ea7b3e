"""A whole node whose model provider breaks every rule, on real sockets both ways."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import attrs
import orjson
import trio

import supervision
from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    Config,
    GatewayConfig,
    LimitsConfig,
    ProviderConfig,
)
from beamclaw.contracts.ledger_usage import ReadUsage, UsageRow
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.secret import Secret
from beamclaw.testing.fake_anthropic import FakeAnthropic
from beamclaw.testing.fake_openai import FakeOpenAI, Reply
from beamclaw.testing.rogue import Rogue, Trick, rogue, send
from beamclaw.toolbox import ToolsOf
from tests.support.inside import TOKEN, Inside, Reader, no_tools, open_inside

Api = Literal["openai", "anthropic"]
APIS: tuple[Api, ...] = ("anthropic", "openai")
MODELS: Mapping[Api, str] = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
ANSWER = "Hi 🦀!"
_FAKES = {"openai": FakeOpenAI(), "anthropic": FakeAnthropic()}


def recorded(api: Api, reply: Reply | None = None) -> list[bytes]:
    """The events of a stream as *api* has them; :data:`ANSWER` without a reply."""
    body: dict[str, Any] = {"model": "m", "stream_options": {"include_usage": True}}
    reply = reply or Reply(text=ANSWER, usage=(10, 2))
    return [data for data, _ in _FAKES[api].events(body, reply, 10)]


@attrs.frozen
class Outcome:
    """What a person was given: the answer or the error, and which it was."""

    ok: bool
    text: str
    finish: str = ""


@attrs.define
class Pressed:
    """The node and its provider; *asked*, by what was said, is kept by a test."""

    node: Inside
    provider: Rogue
    api: Api
    asked: dict[str, int] = attrs.field(factory=dict[str, int])

    def play(self, *tricks: Trick) -> None:
        self.provider.play(*tricks)

    def _headers(self, session: str | None) -> dict[str, str]:
        named = {} if session is None else {"x-openclaw-session-key": session}
        return {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            **named,
        }

    async def ask(self, text: str = "hello", *, session: str | None = None) -> Outcome:
        """Ask for a whole answer: what was said can be taken back."""
        answer = await self.node.ask(text, self._headers(session), wait=1e9)
        found = orjson.loads(answer.body)
        if "error" in found:
            return Outcome(False, found["error"]["message"])
        (choice,) = found["choices"]
        return Outcome(True, choice["message"]["content"], choice["finish_reason"])

    async def stream(self, text: str = "hello") -> Reader:
        """Ask for a stream: what was said stays said."""
        reader = Reader()
        await self.node.stream(text, self._headers(None), reader)
        return reader

    async def usage(self) -> tuple[UsageRow, ...]:
        return await supervision.call("default/ledger", ReadUsage())

    async def is_settled(self) -> bool:
        """Whether nothing is reserved any more, and nobody holds a permit."""
        rows = await self.usage()
        status = supervision.state(f"providers/{self.api}")
        reserved = sum(row.reserved.input + row.reserved.output for row in rows)
        return reserved == 0 and status["in_use"] == 0 and status["waiting"] == 0


@attrs.define
class Wall:
    """The wall's clock, which goes with Trio's."""

    def __call__(self) -> float:
        return 1_800_000_000.0 + trio.current_time()


@asynccontextmanager
async def open_pressed(
    data: Path,
    api: Api,
    *,
    virtual: bool = False,
    toolbox: ToolsOf = no_tools,
    limits: LimitsConfig | None = None,
    fallbacks: tuple[str, ...] = (),
    max_tokens: int | None = None,
    more: Mapping[str, ProviderConfig] | None = None,
    **provider: Any,
) -> AsyncIterator[Pressed]:
    """*provider* are more settings of it; with *virtual*, threads stay out of the way.

    The breaker is as good as off where nothing is said of it.
    """
    async with rogue(send(b"")) as bad:
        base = f"http://127.0.0.1:{bad.port}"
        defaults = {"retry_first": 0.001, "breaker_failures": 1_000_000}
        one = ProviderConfig(
            api=api,
            base_url=f"{base}/v1" if api == "openai" else base,
            api_key=provider.pop("api_key", Secret("key-of-the-test")),
            **{**defaults, **provider},
        )
        config = Config(
            data=data,
            providers={api: one, **(more or {})},
            agents={
                "main": AgentConfig(
                    model=f"{api}/{MODELS[api]}",
                    fallbacks=fallbacks,
                    max_tokens=max_tokens,
                )
            },
            gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN))),
            limits=limits or LimitsConfig(),
        )
        inline = Outside(
            wall=Wall(), worker=InlineWorker, threads=False, random=lambda: 0.5
        )
        outside = inline if virtual else Outside()
        async with open_inside(config, outside, toolbox) as node:
            yield Pressed(node, bad, api)


def last_text(body: bytes) -> str:
    """What a request says last, whoever says it."""
    message = orjson.loads(body)["messages"][-1]
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", part.get("content", ""))) for part in content)


def holds(words: str, text: str) -> bool:
    return re.search(words, text, re.DOTALL) is not None
