"""Tools of other packages: found by entry points, and kept from doing harm by being wrong.

A package that cannot be imported, whose tools cannot be told to a model, or that calls a
tool as another is called, is reported in words; everything else goes on without it.
"""

import re
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from types import ModuleType
from typing import Any, cast

import attrs

from beamclaw.config.installed import TOOLS, CannotLoad, Fault, Found, found
from beamclaw.config.tool_checks import belongs
from beamclaw.config.tool_names import built_in
from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.tools import Order, Output, Tool, ToolSpec
from beamclaw.values import frozen

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen
class Plugins:
    """What packages bring.

    Attributes:
        tools: By name.
        faults: What was left out, and why.
    """

    tools: Mapping[str, Tool] = attrs.field(factory=dict[str, Tool])
    faults: Sequence[Fault] = ()


def load_plugins() -> Plugins:
    """Import what is installed; called once, before the node starts.

    It takes as long as these packages take, and no time where there are none.
    """
    return gather(found(TOOLS), frozenset(built_in()))


def gather(entries: Mapping[str, Sequence[Found]], taken: Collection[str]) -> Plugins:
    """The tools of *entries*, none of which has a name that is *taken*."""
    tools: dict[str, Tool] = {}
    faults: list[Fault] = []
    for name, points in entries.items():
        if len(points) > 1:
            packages = " and ".join(point.package for point in points)
            words = f"{packages} both bring {name!r}, so neither is used"
            faults.append(Fault(name=name, package=points[0].package, words=words))
            continue
        point = points[0]
        try:
            for tool in _tools_of(point):
                _check(tool.spec, point, {*taken, *tools})
                tools[tool.spec.name] = tool
        except CannotLoad as error:
            fault = Fault(name=name, package=point.package, words=str(error))
            faults.append(fault)
    return Plugins(tools, faults)


def _tools_of(point: Found) -> Iterator[Tool]:
    """What an entry point brings; all of it is asked for, so that nothing fails later."""
    try:
        made = [_foreign(tool, point.package) for tool in _read(point.load())]
    except CannotLoad:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        raise _refused(point, f"cannot be told to a model: {words}") from error
    if not made:
        raise _refused(point, "has no tools")
    yield from made


def _read(value: object) -> Iterable[Tool]:
    """The tools of a function, a module, a class, an instance, or a list of tools."""
    # Whoever has no such package does not wait for this to be imported.
    from beamclaw.toolkit import Declared, tools_of  # noqa: PLC0415

    if isinstance(value, Declared | ModuleType):
        return tools_of(cast("object", value))
    if isinstance(value, type):
        value = value()
    if isinstance(value, list | tuple):
        return cast("list[Tool]", value)
    return tools_of(value) or ((cast("Tool", value),) if _is_tool(value) else ())


def _is_tool(value: object) -> bool:
    return all(hasattr(value, name) for name in ("spec", "run", "check", "clear"))


def _check(spec: ToolSpec, point: Found, taken: Collection[str]) -> None:
    name = spec.name
    if not _NAME.fullmatch(name):
        raise _refused(point, f"calls a tool {name!r}, which no provider takes")
    if name in taken:
        raise _refused(point, f"calls a tool {name!r}, and there is one")
    if not belongs(name, point.name):
        raise _refused(
            point,
            f"calls a tool {name!r}; tools of the entry point {point.name!r} have to be "
            f"called that, or {point.name}_ and something",
        )
    if spec.kind != "process":
        raise _refused(point, f"has the tool {name!r}, whose kind is not for packages")


def _refused(point: Found, words: str) -> CannotLoad:
    return CannotLoad(f"{point.value} of the package {point.package} {words}")


@frozen(eq=False, kw_only=True)
class _Foreign:
    """A tool of another package, which says so."""

    spec: ToolSpec
    run: Callable[[Order], Awaitable[Output]]
    check: Callable[[Order], Awaitable[Output | None]]
    clear: Callable[[Order], Awaitable[Clearance]]


def _foreign(tool: Tool, package: str) -> Tool:
    spec: Any = tool.spec
    if not isinstance(spec, ToolSpec):
        raise TypeError(f"{tool!r} has no ToolSpec")
    foreign = _Foreign(
        spec=attrs.evolve(spec, source=package),
        run=tool.run,
        check=tool.check,
        clear=tool.clear,
    )
    return cast("Tool", foreign)
