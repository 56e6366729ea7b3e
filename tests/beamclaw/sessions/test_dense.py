"""Text that is not prose, before a model that counts a token for each of its bytes."""
# ruff: noqa: PLR0917 -- fixtures, and the columns of tables

import base64
from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import orjson
import pytest
from trio.testing import MockClock

import supervision
from beamclaw.contracts.budgets import Cap, Purse
from beamclaw.contracts.ledger_usage import ReadSpent, ReadUsage
from beamclaw.contracts.messages import Message, Text, ToolCall, ToolResult, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.testing.world import World
from tests.beamclaw.sessions.conftest import KEY, Model

CAP = Cap("session", "tokens", 60_000, "limits.session.tokens")
BASE64 = base64.b64encode(bytes(range(256)) * 4).decode()
CJK = "鬱蒼とした森の中に" * 60
DIGITS = "8675309" * 200


@attrs.define
class Bytewise:
    """A model that says *text*: no tokenizer counts more than it does.

    Attributes:
        tells: It says what it has counted.
        uses: It also asks for a tool, with *text* in it, in every other answer.
        used: Tokens that it has really read and written.
    """

    text: str
    tells: bool
    uses: bool
    used: int = 0
    calls: int = 0

    async def __call__(
        self, request: ModelRequest
    ) -> AsyncGenerator[ProviderEvent, None]:
        most = request.params.max_tokens
        assert most is not None, "nobody has said where it has to stop"
        self.calls += 1
        read, written = self._read(request), 1
        for character in self.text:
            size = len(character.encode())
            if written + size > most:
                break
            written += size
            yield TextDelta(character)
        asks = self.uses and self.calls % 2 == 1
        arguments = orjson.dumps({"text": self.text}).decode()
        if asks:
            written += len(f"put{arguments}".encode())
            yield ToolCallDelta(0, f"t{self.calls}", "put", arguments)
        self.used += read + written
        if self.tells:
            yield UsageReport(Usage(read, written))
        yield End("tool_calls" if asks else "stop")

    def _read(self, request: ModelRequest) -> int:
        tools = [
            f"{tool.name}{tool.description}{orjson.dumps(tool.parameters).decode()}"
            for tool in request.tools
        ]
        words = [word for message in request.messages for word in _words(message)]
        read = sum(len(word.encode()) for word in (*tools, *words))
        return read + 4 * len(request.messages) + (400 if tools else 0)


def _words(message: Message) -> list[str]:
    words: list[str] = []
    for part in message.parts:
        match part:
            case ToolCall(name=name, arguments=arguments):
                words += (name, arguments)
            case Text(text) | ToolResult(text=text):
                words.append(text)
            case _:
                raise AssertionError
    return words


async def in_the_books() -> int:
    rows = dict(await supervision.call("default/ledger", ReadSpent(("",))))
    return rows[Purse("session", KEY, "")].tokens


@pytest.mark.parametrize("text", [BASE64, CJK, DIGITS], ids=["base64", "cjk", "digits"])
@pytest.mark.parametrize("uses", [False, True], ids=["talks", "works"])
@pytest.mark.parametrize("tells", [False, True], ids=["silent", "reporting"])
async def test_the_books_never_have_less_than_was_used(
    open_tenant,
    model: Model,
    tmp_path: Path,
    autojump_clock: MockClock,
    text,
    uses,
    tells,
) -> None:
    """And so a cap holds, whatever is said and whether the provider counts or not."""
    bytewise = Bytewise(text, tells, uses)
    model.scripts = [bytewise]
    model.tools = World(tmp_path / "world").tools() if uses else {}
    outcomes: list[str] = []
    async with open_tenant(caps=(CAP,)) as tenant:
        while outcomes[-1:] != ["limited"]:
            outcomes.append((await tenant.ask(text)).outcome)
            assert bytewise.used <= await in_the_books() <= CAP.limit
        usage = await supervision.call("default/ledger", ReadUsage())
    assert len(outcomes) > 2
    assert {row.usage.estimated for row in usage} == {not tells}
