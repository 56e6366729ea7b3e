"""What changes is seen before a turn asks, by watching or by looking once in a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

import supervision
from beamclaw.config.schema import (
    Config,
    SkillEntryConfig,
    SkillsConfig,
    SkillsLoadConfig,
)
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.skills import SKILL_REFUSED, SKILL_TAMPERED, SKILL_UNSET
from beamclaw.skills import setting_of, supervisor
from beamclaw.skills.watching import wait_change
from tests.beamclaw.skills.stage import skill, store

INLINE = Outside(worker=InlineWorker, threads=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


class Alarms:
    """Events, and a wait for the first."""

    def __init__(self) -> None:
        self.events: list[supervision.Event] = []
        self.first = trio.Event()

    def __call__(self, event: supervision.Event) -> None:
        if event.name in {SKILL_REFUSED, SKILL_TAMPERED, SKILL_UNSET}:
            self.events.append(event)
            self.first.set()


@asynccontextmanager
async def running(
    data: Path, outside: Outside, load: SkillsLoadConfig, **entries: SkillEntryConfig
) -> AsyncIterator[Alarms]:
    config = Config(data=data, skills=SkillsConfig(load=load, entries=entries))
    spec = supervision.ChildSpec(
        "skills",
        partial(supervisor, "default", config, partial(setting_of, config), outside),
        type="supervisor",
        shutdown=None,
    )
    alarms = Alarms()
    detach = supervision.telemetry.attach(alarms)
    try:
        async with supervision.open_supervisor([spec]):
            yield alarms
    finally:
        detach()


async def test_changed_contents_raise_the_alarm_without_a_turn(tmp_path: Path):
    _, pin = store(tmp_path / "skills").install(skill(tmp_path / "source"), 1.0)
    # So long that it would not be by a look once in a while.
    load = SkillsLoadConfig(poll_seconds=3_600)
    async with running(tmp_path, Outside(), load) as alarms:
        file = pin.folder(tmp_path / "skills", "tidy") / "SKILL.md"
        with trio.fail_after(30):
            while not alarms.first.is_set():
                # The first of them may come before anybody watches.
                file.write_text(f"{file.read_text()}more")
                with trio.move_on_after(1):
                    await alarms.first.wait()
    assert alarms.events[0].name == SKILL_TAMPERED
    assert alarms.events[0].metadata["path"] == str(file.parent)


@pytest.mark.parametrize(
    "outside, watch", [(INLINE, True), (Outside(worker=InlineWorker), False)]
)
async def test_without_watching_they_are_looked_at_once_in_a_while(
    tmp_path: Path, autojump_clock: object, outside: Outside, watch: bool
):
    load = SkillsLoadConfig(watch=watch, poll_seconds=30)
    async with running(tmp_path, outside, load) as alarms:
        await trio.testing.wait_all_tasks_blocked()
        (skill(tmp_path / "skills" / "a") / "SKILL.md").write_text("none")
        await trio.sleep(29)
        assert not alarms.events
        await trio.sleep(2)
        assert [event.name for event in alarms.events] == [SKILL_REFUSED]


async def test_a_variable_that_commands_do_not_get_is_told_once(
    tmp_path: Path, autojump_clock: object
):
    file = skill(tmp_path / "skills" / "tidy") / "SKILL.md"
    load = SkillsLoadConfig(watch=False, poll_seconds=30)
    entry = SkillEntryConfig(env={"GIT_TOKEN": "hidden"})
    outside = Outside(worker=InlineWorker)
    async with running(tmp_path, outside, load, tidy=entry) as alarms:
        await trio.testing.wait_all_tasks_blocked()
        file.write_text(f"{file.read_text()}more")
        await trio.sleep(31)
    (event,) = alarms.events
    assert event.metadata["variable"] == "GIT_TOKEN"
    assert "GIT_TOKEN may not be set" in str(event.metadata["why"])
    assert "hidden" not in str(event)


async def test_a_watch_that_is_not_wanted_any_more_ends_at_once(tmp_path: Path):
    with trio.move_on_after(0.01) as limit:
        await wait_change([str(tmp_path)])
    assert limit.cancelled_caught
