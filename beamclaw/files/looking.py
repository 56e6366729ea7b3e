"""The tools that look at files, under OpenClaw's names: read, ls, find and grep."""

from typing import Annotated, TypeVar

from beamclaw.config.schema import ENDLESS
from beamclaw.contracts.steps import Steps
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.files.globs import Glob
from beamclaw.files.listing import listed
from beamclaw.files.reading import read
from beamclaw.files.searching import Find, Found, Grep, Search, expression
from beamclaw.files.setting import Setting
from beamclaw.toolkit import Range, tool

T = TypeVar("T")

Lines = Annotated[int, Range(1, ENDLESS)]


class LookTools:
    """Those of one agent.

    Args:
        setting: What they work with.
    """

    def __init__(self, setting: Setting) -> None:
        self._roots = setting.roots
        self._limits = setting.limits
        self._bench = setting.bench

    async def forget(self, order: Order) -> None:
        """Nothing is kept of a look."""

    @tool(effect="pure", group="fs")
    async def read(
        self, path: str, offset: Lines = 1, limit: Lines | None = None
    ) -> Output:
        """Read a file: the lines of a text, or a picture (PNG, JPEG, GIF, WebP).

        A long text is shown in part, with the offset to go on with.

        Args:
            path: The file, from the workspace or absolute.
            offset: The first line that is shown, from 1.
            limit: How many lines are shown.
        """
        limits = self._limits
        lines = limits.read_lines if limit is None else min(limit, limits.read_lines)
        return await self._through(read(self._roots, path, offset, lines, limits))

    @tool(effect="pure", group="fs")
    async def ls(self, path: str = ".", limit: Lines | None = None) -> str:
        """List a folder: folders end with /, links show where they lead.

        Args:
            path: The folder, from the workspace or absolute.
            limit: How many entries are shown.
        """
        most = min(limit or ENDLESS, self._limits.list_entries)
        return await self._through(listed(self._roots, path, most, self._limits))

    @tool(effect="pure", group="fs")
    async def find(
        self, pattern: str, path: str = ".", limit: Lines | None = None
    ) -> str:
        """Find files and folders by their names, in a folder and all below it.

        Args:
            pattern: Such as *.py, src/**/*.ts or {a,b}.txt. Without / it is about names,
                with it about whole paths below the folder.
            path: The folder, from the workspace or absolute.
            limit: How many are shown.
        """
        most = min(limit or ENDLESS, self._limits.found_files)
        found = Found(most, self._limits.read_chars)
        return await self._search(Find(self._roots, path, pattern, found, self._limits))

    @tool(effect="pure", group="fs")
    async def grep(
        self,
        pattern: str,
        path: str = ".",
        glob: str | None = None,
        *,
        ignore_case: bool = False,
        literal: bool = False,
        context: Annotated[int, Range(0, 20)] = 0,
        limit: Lines | None = None,
    ) -> str:
        """Find lines of texts, in one file or in all of a folder and below it.

        Args:
            pattern: A regular expression that some of the line has to fit; without
                references to groups, and without looking ahead or back.
            path: The file or folder, from the workspace or absolute.
            glob: Only files whose names fit it, such as *.py.
            ignore_case: Capitals and small letters are the same.
            literal: The pattern is a text as it stands, and no expression.
            context: Lines that are shown before and after each.
            limit: How many lines are shown.
        """
        most = min(limit or ENDLESS, self._limits.found_lines)
        search = Grep(
            self._roots,
            path,
            expression(pattern, literal=literal, ignore_case=ignore_case),
            Found(most, self._limits.read_chars),
            self._limits,
            context,
            None if glob is None else Glob(glob),
        )
        return await self._search(search)

    async def _through(self, steps: Steps[T]) -> T:
        seconds = self._limits.search_seconds
        found = await self._bench.through(steps, seconds)
        if found is None:
            raise ToolFailed(
                f"it took more than {seconds:g} seconds (tools.files.search_seconds); "
                "look for less"
            )
        return found

    async def _search(self, search: Search) -> str:
        """What was found until the time was over is shown, too."""
        seconds = self._limits.search_seconds
        said = await self._bench.through(search.steps(), seconds, search=True)
        if said is not None:
            return said
        search.found.cut = (
            f"the search took more than {seconds:g} seconds and was stopped "
            "(tools.files.search_seconds)"
        )
        return search.found.told("line or name was found so far", None)
