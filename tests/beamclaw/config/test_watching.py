"""Whoever holds the configuration is told of another file, whether its disk says so or not."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from beamclaw.config.server import NAME, FileTouched
from beamclaw.config.watching import LOOK_AGAIN, watch_file
from beamclaw.contracts.outside import InlineWorker, Outside

# Nobody is told of changes on its disk.
SILENT = attrs.evolve(Outside(), worker=InlineWorker, threads=False)


async def holder(heard: list[object]) -> None:
    """Stands for the process ``config``."""
    while True:
        message = await supervision.receive()
        assert isinstance(message, supervision.Cast)
        heard.append(message.message)


async def nobody_tells(folders: object) -> None:
    raise AssertionError(folders)


async def test_where_nobody_tells_the_files_are_looked_at_every_so_often(
    tmp_path: Path, autojump_clock
):
    file, other = tmp_path / "beamclaw.yaml", tmp_path / "other.yaml"
    file.write_text("{}")
    heard = list[object]()
    watch = partial(
        watch_file, file, SILENT, nobody_tells, lambda: [other], lambda: 100.0
    )
    children = [
        supervision.ChildSpec("holder", partial(holder, heard), name=NAME),
        supervision.ChildSpec("watch", watch),
    ]
    async with supervision.open_supervisor(children):
        await wait_all_tasks_blocked()
        assert heard == [FileTouched()]  # whatever is there may be new

        await trio.sleep(250)
        assert len(heard) == 1

        other.write_text("{}")
        await trio.sleep(40)  # 290 s after the first look
        assert len(heard) == 1
        await trio.sleep(20)
        assert heard == [FileTouched()] * 2


async def test_a_file_that_may_be_read_only_now_is_another_one(
    tmp_path: Path, autojump_clock
):
    file = tmp_path / "beamclaw.yaml"
    file.write_text("{}")
    file.chmod(0o000)
    heard = list[object]()
    watch = partial(watch_file, file, SILENT, nobody_tells, list[Path], lambda: 100.0)
    children = [
        supervision.ChildSpec("holder", partial(holder, heard), name=NAME),
        supervision.ChildSpec("watch", watch),
    ]
    async with supervision.open_supervisor(children):
        await trio.sleep(50)
        assert len(heard) == 1
        file.chmod(0o600)
        await trio.sleep(100)
        assert len(heard) == 2


async def test_a_file_that_comes_to_be_included_is_watched_soon_and_where_it_will_be(
    tmp_path: Path, autojump_clock
):
    file, others = tmp_path / "beamclaw.yaml", list[Path]()
    file.write_text("{}")
    heard, folders = list[object](), list[list[str]]()

    async def wait_change(given: Sequence[str]) -> None:
        folders.append(list(given))
        await trio.sleep_forever()

    outside = attrs.evolve(SILENT, threads=True)
    watch = partial(
        watch_file, file, outside, wait_change, lambda: list(others), lambda: 100.0
    )
    children = [
        supervision.ChildSpec("holder", partial(holder, heard), name=NAME),
        supervision.ChildSpec("watch", watch),
    ]
    async with supervision.open_supervisor(children):
        await trio.sleep(LOOK_AGAIN / 2)
        assert len(heard) == 1
        # It was read meanwhile, and leads to a file in a folder that is not there yet.
        part = tmp_path / "parts/more/part.yaml"
        others.append(part)
        await trio.sleep(LOOK_AGAIN)
        assert folders == [[str(tmp_path)]] * 2
        part.parent.mkdir(parents=True)
        part.write_text("{}")
        await trio.sleep(100)
        assert len(heard) == 2
        assert folders[-1] == [str(tmp_path), str(part.parent)]
        # Gone is another one, too.
        part.unlink()
        await trio.sleep(100)
        assert len(heard) == 3
