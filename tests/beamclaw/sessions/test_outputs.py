"""What a tool says and the model does not get is kept, and found by its pointer."""

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.journal import ToolEnded, read
from beamclaw.contracts.ledger_reads import OutputRead, ReadOutput, ReadSession
from beamclaw.contracts.messages import Image, Media
from beamclaw.contracts.tools import Order, Output, ToolFailed, ToolSpec
from tests.beamclaw.sessions.conftest import KEY, Model
from tests.beamclaw.sessions.test_tools import report, results, use


@attrs.frozen
class Says:
    """A tool that says what it was made to say."""

    text: str
    fails: bool = False
    media: tuple[Media, ...] = ()

    @property
    def spec(self) -> ToolSpec:
        schema = {"type": "object", "properties": {}}
        return ToolSpec(
            name="say", description="says", parameters=schema, effect="pure"
        )

    async def run(self, order: Order) -> Output:
        await trio.lowlevel.checkpoint()
        if self.fails:
            raise ToolFailed(self.text)
        return Output(self.text, media=self.media)

    async def check(self, order: Order) -> Output | None:
        return None

    async def clear(self, order: Order) -> Clearance:
        return Clear()


LONG = "".join(f"line {number}\n" for number in range(20_000))


async def kept(pointer: str | None, offset: int = 0, limit: int = 10**6) -> OutputRead:
    assert pointer is not None
    request = ReadOutput(pointer, offset, limit)
    found = await supervision.call("default/ledger", request)
    assert found is not None
    return found


async def ends() -> list[ToolEnded]:
    found = await supervision.call("default/ledger", ReadSession(KEY))
    bodies = [read(event) for event in found.events]
    return [body for body in bodies if isinstance(body, ToolEnded)]


@pytest.mark.parametrize("fails", [False, True])
async def test_what_the_model_does_not_get_is_kept_whole(
    open_tenant, model: Model, autojump_clock: MockClock, fails: bool
) -> None:
    model.tools = {"say": Says(LONG, fails)}
    model.scripts = [use(("say", {})), report]
    async with open_tenant() as tenant:
        end = await tenant.ask("say it")
        (one,) = await ends()
        assert one.rest == f"{end.run_id}/call_0"
        assert (
            f"all of it is kept as output {one.rest}, which read_output reads …]"
            in one.result.text
        )
        assert len(one.result.text) < 1_200
        assert (one.size, one.outcome) == (len(LONG), "error" if fails else "ok")
        found = await kept(one.rest)
        assert (found.text, found.session_key) == (LONG, KEY)
        some = await kept(one.rest, 9_000, 20)
        assert some.text == LONG[9_000:9_020]


async def test_what_the_model_gets_all_of_is_not_kept(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.tools = {"say": Says("short")}
    model.scripts = [use(("say", {})), report]
    async with open_tenant() as tenant:
        end = await tenant.ask("say it")
        (one,) = await ends()
        assert one.rest is None
        pointer = f"{end.run_id}/call_0"
        assert await supervision.call("default/ledger", ReadOutput(pointer)) is None


async def test_of_an_endless_output_the_beginning_is_kept(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.tools = {"say": Says("x" * 1_000_000)}
    model.scripts = [use(("say", {})), report]
    async with open_tenant() as tenant:
        await tenant.ask("say it")
        (one,) = await ends()
        assert "the first 300,000 are kept" in one.result.text
        found = await kept(one.rest)
        assert (found.kept, found.length) == (300_000, 1_000_000)
        assert found.text == "x" * 300_000


async def test_an_output_that_outlives_its_run_is_kept_by_the_next(
    open_tenant, model: Model, autojump_clock: MockClock, tmp_path
) -> None:
    go = trio.Event()

    @attrs.frozen
    class Late(Says):
        async def run(self, order: Order) -> Output:
            await go.wait()
            return Output(self.text)

    model.tools = {"say": Late(LONG)}
    model.scripts = [use(("say", {})), report]
    async with open_tenant() as tenant:
        receipt = await tenant.send("say it")
        await tenant.there(f"default/call/{receipt.run_id}/call_0")
        await tenant.kill(f"default/run/{receipt.run_id}")
        go.set()
        await tenant.end(receipt)
        (one,) = await ends()
        found = await kept(one.rest)
        assert found.length == len(LONG)


async def test_what_a_tool_shows_reaches_the_model_and_stays_in_the_conversation(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    picture = Image(data="QQ==", media_type="image/png")
    model.tools = {"say": Says("see", media=(picture,))}
    model.scripts = [use(("say", {})), report]
    async with open_tenant(snapshot_every=4) as tenant:
        await tenant.ask("show it")
        (result,) = results(model.calls[-1].messages)
        assert (result.text, result.media) == ("see", (picture,))
        await trio.sleep(1)
    async with open_tenant() as tenant:
        tenant.sent = 10
        await tenant.ask("and?")
        (result,) = results(model.calls[-1].messages)
        assert result.media == (picture,)
