"""The program that reads strangers' pages runs in the sandbox, with nothing around it."""

from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from beamclaw.contracts.sandbox import Machine
from beamclaw.web.reading import Reader
from tests.beamclaw.commands.test_run import in_process

PAGE: Any = SimpleNamespace(
    kind=SimpleNamespace(form="html", charset="utf-8"),
    at=SimpleNamespace(url="https://example.org/"),
    body=b"<title>T</title><p>Hello</p>",
    cut=False,
)


@attrs.define
class Noting:
    """A sandbox that keeps what it has made of a launch."""

    sandbox: Any
    made: list = attrs.field(factory=list)

    async def wrap(self, launch, need):
        self.made.append(await self.sandbox.wrap(launch, need))
        return self.made[-1]


async def read(sandbox):
    reader = Reader(
        tenant="default", seconds=20.0, memory=512 * 1024 * 1024, sandbox=sandbox
    )
    return await in_process(
        lambda: reader.read(PAGE, mode="markdown", most=1000, id="page")
    )


@pytest.mark.peer("bubblewrap")
async def test_a_page_is_read_in_it(bench):
    box = Noting(bench.sandbox())
    found = await read(box)

    assert (found.title, found.text.strip()) == ("T", "Hello")
    (launch,) = box.made
    assert launch.argv[0].endswith("bwrap")
    assert b"--share-net" not in launch.inherited[0].split(b"\0")
    assert str(bench.data).encode() not in launch.inherited[0]


async def test_where_nothing_isolates_it_is_read_all_the_same(bench):
    box = attrs.evolve(bench.sandbox(), machine=Machine(root=True, why="none"))
    found = await read(box)

    assert found.text.strip() == "Hello"
