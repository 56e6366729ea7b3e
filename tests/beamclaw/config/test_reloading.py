"""Who holds the configuration, in the middle of a change."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw.bus import LocalBus
from beamclaw.config.applying import Part
from beamclaw.config.current import Current
from beamclaw.config.last_good import find
from beamclaw.config.loader import Loaded, load
from beamclaw.config.schema import Config
from beamclaw.config.server import (
    APPLIED,
    NAME,
    NOT_APPLIED,
    ConfigServer,
    FileTouched,
    Origin,
)
from beamclaw.contracts.outside import InlineWorker, Outside
from supervision.telemetry import Event, attach


def holder(loaded: Loaded) -> tuple[Current, supervision.ChildSpec]:
    """The process by what was loaded at the start, and what it holds."""
    current = Current(loaded.config)
    current.warnings = tuple(map(str, loaded.warnings))
    origin = Origin(config=loaded.config, text=loaded.text, included=loaded.included)
    outside = Outside(worker=InlineWorker)
    start = partial(ConfigServer, current, LocalBus(), outside, origin)
    return current, supervision.ChildSpec("config", start, name=NAME)


async def edit(file: Path, text: str) -> None:
    """Write it, and wait until it was looked at: twice, and it is told once."""
    file.write_text(text)  # noqa: ASYNC240 -- a line of a small file
    for _ in range(2):
        supervision.cast(NAME, FileTouched())
    await trio.sleep(1)


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


async def test_included_files_are_followed_and_a_wrong_one_changes_nothing(
    tmp_path: Path, autojump_clock
):
    file, part = tmp_path / "beamclaw.yaml", tmp_path / "logging.yaml"
    file.write_text("logging: {$include: logging.yaml}\n")
    part.write_text("level: info\n")
    current, spec = holder(load({}, data=tmp_path))
    said: list[str] = []

    def hear(event: Event) -> None:
        if event.name == NOT_APPLIED:
            said.append(str(event.metadata["why"]))

    async def touch() -> None:
        supervision.cast(NAME, FileTouched())
        await trio.sleep(1)

    def kept() -> Mapping[Path, str]:
        found = find(tmp_path)
        assert found is not None
        return found.included

    detach = attach(hear)
    async with supervision.open_supervisor([spec]):
        await trio.sleep(1)
        assert kept() == {part: "level: info\n"}
        part.write_text("level: debug\n")
        await touch()
        assert current.config.logging.level == "debug"
        assert kept() == {part: "level: debug\n"}

        part.write_text("level: loud\n")
        await touch()
        await touch()
        part.unlink()
        await touch()
        assert current.config.logging.level == "debug"
        assert current.files == (part,)
        assert kept() == {part: "level: debug\n"}

        # The same, in a file of another name: nothing that holds is other.
        other = tmp_path / "other.yaml"
        other.write_text("level: debug\n")
        file.write_text("logging: {$include: other.yaml}\n")
        await touch()
        assert current.files == current.config.files == (other,)
        assert kept() == {other: "level: debug\n"}
    detach()
    assert len(said) == 2
    assert said[0].startswith(f"{part}:1:8: logging.level: expected one of debug")
    assert said[1].startswith(f"{file}:1:21: logging.$include: {part} cannot be read")


async def test_keys_that_wait_for_a_start_are_named_also_when_nothing_else_changes(
    tmp_path: Path, autojump_clock
):
    file = tmp_path / "beamclaw.yaml"
    file.write_text("tools: {max_calls: 7}\n")
    current, spec = holder(load({}, data=tmp_path))
    said: list[tuple[float, object, object]] = []

    def hear(event: Event) -> None:
        if event.name == APPLIED:
            told = event.metadata
            said.append((event.measurements["changes"], told["waiting"], told["words"]))

    detach = attach(hear)
    async with supervision.open_supervisor([spec]):
        await edit(file, "tools: {max_calls: 9}\n")
        await edit(file, "tools: {max_calls: 9, profile: minimal}\n")
        await edit(file, "tools: {max_calls: 11, profile: minimal}\n")
        await edit(file, "tools: {max_calls: 7, profile: minimal}\n")
    detach()
    waits = ["tools.max_calls"]
    words = (
        "at the next start: tools.max_calls (calls in progress would have to be ended)"
    )
    assert said == [
        (0, waits, words),
        (1, waits, words),
        (0, waits, words),
        (0, [], "nothing waits for the next start"),
    ]
    assert current.config.tools.max_calls == 7
    assert not current.left


async def test_a_file_that_is_right_again_and_a_likely_mistake_are_told_of(
    tmp_path: Path, autojump_clock
):
    file = tmp_path / "beamclaw.yaml"
    file.write_text("tools: {max_calls: 7, typo: 1}\n")
    current, spec = holder(load({}, data=tmp_path))
    said: list[object] = []

    def hear(event: Event) -> None:
        if event.name == APPLIED:
            said.append(event.measurements["changes"])
        elif event.name == "beamclaw.config.doubtful":
            said.append(event.metadata["words"])
        elif event.name == NOT_APPLIED:
            said.append(event.metadata["why"])

    detach = attach(hear)
    async with supervision.open_supervisor([spec]):
        # What was said at the start is not said again.
        await edit(file, "tools: {max_calls: 7, typo: 1}\n")
        assert not said
        assert len(current.warnings) == 1
        await edit(file, "tools: {max_calls: 7}\n")
        await edit(file, "tools: {max_calls: many}\n")
        wrong = current.trouble
        # It is known also where whoever has found it out died since.
        finder = supervision.whereis(NAME)
        assert finder is not None
        supervision.exit(finder, supervision.KILL)
        await trio.sleep(1)
        await edit(file, "tools: {max_calls: many}\n")
        assert current.trouble == wrong
        await edit(file, "tools: {max_calls: 7}\n")
        assert current.trouble == ""
        await edit(file, "tools: {max_calls: 7, prof: minimal}\n")
        await edit(file, "tools: {max_calls: 7}\n")
    detach()
    assert wrong.startswith(f"{file}:1:20: tools.max_calls: expected")
    mistake = f"{file}:1:23: tools.prof: unknown key; did you mean profile?"
    assert said == [0, wrong, 0, 0, mistake, 0]
