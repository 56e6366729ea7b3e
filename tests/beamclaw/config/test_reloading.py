"""Who holds the configuration, in the middle of a change."""

from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw.bus import LocalBus
from beamclaw.config.applying import Part
from beamclaw.config.current import Current
from beamclaw.config.loader import load
from beamclaw.config.schema import Config
from beamclaw.config.server import NAME, ConfigServer, FileTouched, Origin
from beamclaw.contracts.outside import InlineWorker, Outside


async def test_a_change_goes_on_where_whoever_carried_it_out_has_died(
    tmp_path: Path, autojump_clock
):
    file = tmp_path / "beamclaw.yaml"
    file.write_text("logging: {level: info}\n")
    read = load({}, data=tmp_path).config
    current = Current(read)
    begun: list[tuple[str, str, str]] = []

    async def renew(part: Part, before: Config, after: Config) -> None:
        begun.append((part, before.logging.level, after.logging.level))
        if len(begun) == 1:
            raise RuntimeError("in the middle")

    outside = Outside(worker=InlineWorker)
    start = partial(
        ConfigServer, current, LocalBus(), outside, Origin(config=read), renew
    )
    spec = supervision.ChildSpec("config", start, name=NAME)
    async with supervision.open_supervisor([spec]):
        file.write_text("logging: {level: debug}\n")
        supervision.cast(NAME, FileTouched())
        while current.before is not None or len(begun) < 2:  # noqa: ASYNC110 -- virtual
            await trio.sleep(0.01)  # on the virtual clock
        assert begun == [("telemetry", "info", "debug")] * 2
        assert current.config.logging.level == "debug"
        assert current.read.logging.level == "debug"
        entry = supervision.lookup(NAME)
        assert entry is not None
        assert entry.value is current.config
