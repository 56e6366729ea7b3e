"""A workspace with the tools of an agent, called as a turn calls them."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.tools import Order, Output, Tool
from beamclaw.files import Bench, Setting, tools
from beamclaw.paths import Root, Roots


def order(tool: str, key: str, arguments: Mapping[str, Any], **more: Any) -> Order:
    """A call of *tool*."""
    return Order(
        tenant="default",
        session_key="agent:main:main",
        run_id="run",
        call_id=key,
        tool=tool,
        arguments=arguments,
        key=key,
        **more,
    )


@attrs.define
class Stage:
    """The folder, and the tools for it; *threads*: real ones, else on the loop."""

    folder: Path
    limits: FilesConfig = attrs.field(factory=FilesConfig)
    threads: bool = False
    now: float = 1_000_000.0
    bench: Bench = attrs.field(init=False)
    tools: dict[str, Tool] = attrs.field(init=False)
    _keys: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False)

    def __attrs_post_init__(self) -> None:
        (self.folder / "space").mkdir(exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "skill").mkdir(exist_ok=True)
        outside = Outside(wall=lambda: self.now)
        if not self.threads:
            outside = attrs.evolve(outside, worker=InlineWorker)
        self.bench = Bench(outside, self.limits.at_once)
        setting = Setting(
            roots=Roots(
                self.space,
                (Root(self.folder / "skill", name="skill folder"),),
                closed=(self.folder / "data",),
            ),
            limits=self.limits,
            receipts=self.receipts,
            bench=self.bench,
            outside=outside,
        )
        self.tools = {each.spec.name: each for each in tools(setting)}

    @property
    def space(self) -> Path:
        """The workspace."""
        return self.folder / "space"

    @property
    def receipts(self) -> Path:
        """Where receipts are."""
        return self.folder / "data" / "receipts"

    async def call(self, tool: str, **arguments: Any) -> str:
        """What *tool* says."""
        return (await self.output(tool, **arguments)).text

    async def output(self, tool: str, **arguments: Any) -> Output:
        """The same, whole."""
        key = f"call {next(self._keys)}"
        return await self.tools[tool].run(order(tool, key, arguments))

    async def clear(self, tool: str, *, tainted: bool, **arguments: Any) -> Clearance:
        """Whether a person has to be asked."""
        asked = order(tool, "key", arguments, tainted=tainted)
        return await self.tools[tool].clear(asked)

    def put(self, name: str, content: str | bytes) -> Path:
        """A file in the workspace."""
        path = self.space / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        return path

    def get(self, name: str) -> str:
        """What a file in the workspace has in it."""
        return (self.space / name).read_bytes().decode()

    def kept(self) -> list[Path]:
        """The receipts that there are."""
        return [path for path in self.receipts.rglob("*") if path.is_file()]

    def litter(self) -> list[str]:
        """Files that should be gone."""
        found = (path.name for path in self.folder.rglob("*"))
        return [name for name in found if name.endswith((".tmp", ".new"))]
