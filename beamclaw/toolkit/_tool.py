"""A declared tool: the function stays callable, and what a node needs is made of it."""

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar, cast

import attrs
import orjson

from beamclaw.arguments.docstring import parse
from beamclaw.arguments.schema import object_of
from beamclaw.arguments.structuring import Unfit, structure
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.codec import converter
from beamclaw.contracts.tools import (
    Asks,
    Effect,
    Group,
    Order,
    Output,
    Tool,
    ToolFailed,
    ToolSpec,
)
from beamclaw.values import frozen

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@frozen(kw_only=True)
class _Kind:
    """What the decorator was told."""

    name: str
    effect: Effect
    asks: Asks
    group: Group
    untrusted: bool
    deadline: float | None


class Declared(Generic[P, R]):
    """What :func:`tool` makes of a function. Called, it is that function."""

    def __init__(self, kind: _Kind, function: Callable[P, Awaitable[R]]) -> None:
        functools.update_wrapper(self, function)
        self._kind = kind
        self._function = function
        self._check: Callable[..., Awaitable[Any]] | None = None
        self._clear: Callable[..., Awaitable[Any]] | None = None
        self._form = _Form.of(kind.name, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Do it, without a model."""
        return self._function(*args, **kwargs)

    def __get__(
        self, instance: object, owner: type | None = None
    ) -> Callable[..., Awaitable[R]]:
        """As a method: with an instance the function is bound to it."""
        if instance is None:
            return self
        return functools.partial(cast("Any", self._function), instance)

    def checks(self, function: F) -> F:
        """Decorator: *function* says what became of a call that was begun before.

        It takes those of the tool's arguments that it names, and gives an `Output`, a
        text, or None: nothing is known, it is run again.
        """
        self._form.take_part(function)
        self._check = function
        return function

    def clears(self, function: F) -> F:
        """Decorator: *function* says whether a person has to be asked.

        It takes those of the tool's arguments that it names, and gives a `Clear`, `Ask`
        or `Deny`. It is asked before the call is begun, and once more right before it runs.
        """
        self._form.take_part(function)
        self._clear = function
        return function

    def tool(self, instance: object | None = None) -> Tool:
        """The tool; *instance* is what the function is a method of.

        Raises:
            TypeError: What it declares is not whole.
        """
        kind = self._kind
        if kind.effect == "checkable" and self._check is None:
            raise TypeError(f"{kind.name} is checkable: what checks it? (@...checks)")
        if kind.asks == "by-call" and self._clear is None:
            raise TypeError(f"{kind.name} asks by-call: what clears it? (@...clears)")
        if self._form.is_method and instance is None:
            raise TypeError(f"{kind.name} is a method: of what?")
        return _Made(
            kind=kind,
            form=self._form,
            instance=instance if self._form.is_method else None,
            does=self._function,
            checks=self._check,
            clears=self._clear,
        )


def tool(
    *,
    effect: Effect,
    group: Group = "plugins",
    name: str | None = None,
    asks: Asks = "never",
    untrusted: bool = False,
    deadline: float | None = None,
) -> Callable[[Callable[P, Awaitable[R]]], Declared[P, R]]:
    """Decorator: an async function, or a method, is a tool.

    Its docstring says what it does, for the model, and under ``Args:`` what each argument
    means. A parameter annotated with `Order` gets the order and is not shown.

    Args:
        effect: What running it twice does, see ``beamclaw.contracts.tools.Effect``.
        group: What policies know it by, with others.
        name: As the model calls it; without one, the function's.
        asks: Whether a person has to agree before it runs. ``by-call``: what is
            decorated with ``@<function>.clears`` says.
        untrusted: What it says are words of strangers.
        deadline: Seconds that a call may take. None: as many as are configured;
            ``math.inf``: as many as the turn has.

    Raises:
        TypeError: A model cannot be told of such a function; at once, in words.
    """

    def declare(function: Callable[P, Awaitable[R]]) -> Declared[P, R]:
        kind = _Kind(
            name=name or function.__name__,
            effect=effect,
            asks=asks,
            group=group,
            untrusted=untrusted,
            deadline=deadline,
        )
        return Declared(kind, function)

    return declare


def tools_of(source: object) -> tuple[Tool, ...]:
    """The tools of an instance (its methods), of a module, or of one function.

    In the order in which they are declared.

    Raises:
        TypeError: What one of them declares is not whole.
    """
    if isinstance(source, Declared):
        return (cast("Declared[..., Any]", source).tool(),)
    if isinstance(source, ModuleType):
        return tuple(each.tool() for each in _declared(vars(source)))
    names: dict[str, Any] = {}
    for cls in reversed(type(source).__mro__):
        names |= vars(cls)
    return tuple(each.tool(source) for each in _declared(names))


def _declared(names: Mapping[str, Any]) -> Iterator[Declared[..., Any]]:
    for each in names.values():
        if isinstance(each, Declared):
            yield cast("Declared[..., Any]", each)


@frozen
class _Form:
    """What a function takes.

    Attributes:
        order: The parameter that gets the order; empty: there is none.
        names: Those that the model gives.
    """

    name: str
    function: Callable[..., Awaitable[Any]]
    is_method: bool
    order: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, name: str, function: Callable[..., Awaitable[Any]]) -> "_Form":
        if not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{name} is not async: what blocks belongs into a thread "
                "(trio.to_thread.run_sync)"
            )
        if not parse(function.__doc__).text:
            raise TypeError(f"{name} has no docstring: how is a model to know it?")
        parameters = [*inspect.signature(function).parameters.values()]
        is_method = bool(parameters) and parameters[0].name == "self"
        order, names = "", list[str]()
        for parameter in parameters[is_method:]:
            if parameter.kind not in _PLAIN or parameter.name.startswith("_"):
                raise TypeError(f"{name}: {parameter} is no argument for a model")
            if _is_order(parameter.annotation):
                order = parameter.name
            elif parameter.annotation is parameter.empty:
                raise TypeError(f"{name}: {parameter} has no type")
            else:
                names.append(parameter.name)
        return cls(name, function, is_method, order, tuple(names))

    def take_part(self, function: Callable[..., Awaitable[Any]]) -> None:
        """Refuse a function that wants what is not there."""
        own = {*self.names, self.order, "self"}
        wants = [*inspect.signature(function).parameters]
        if strange := [name for name in wants if name not in own]:
            raise TypeError(f"{self.name} has no argument {strange[0]!r}")

    @functools.cached_property
    def arguments(self) -> type:
        """An attrs class with one field for each argument."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        parameters = inspect.signature(self.function).parameters
        fields: dict[str, Any] = {}
        for name in self.names:
            default = parameters[name].default
            absent = default is inspect.Parameter.empty
            given = attrs.NOTHING if absent else default
            fields[name] = attrs.field(default=given, type=hints[name])
        made = attrs.make_class(self.name, fields, frozen=True, kw_only=True)
        made.__doc__ = self.function.__doc__
        return made

    def call(self, function: Callable[..., Awaitable[Any]], given: Any) -> Any:
        """*function*, partly applied to those of the arguments that it names."""
        wants = inspect.signature(function).parameters
        values = {name: getattr(given, name) for name in self.names if name in wants}
        return functools.partial(function, **values)


def _is_order(annotation: object) -> bool:
    """Also where annotations are kept as they are written."""
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] == "Order"
    return annotation is Order


_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@frozen(kw_only=True, eq=False, slots=False)
class _Made:
    """A tool of a function; an instance serves all calls."""

    kind: _Kind
    form: _Form
    instance: object | None
    does: Callable[..., Awaitable[Any]]
    checks: Callable[..., Awaitable[Any]] | None
    clears: Callable[..., Awaitable[Any]] | None

    @property
    def spec(self) -> ToolSpec:
        """What it is; made when somebody asks, because that is not when a node starts."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> ToolSpec:
        kind = self.kind
        return ToolSpec(
            name=kind.name,
            description=parse(self.does.__doc__).text,
            parameters=object_of(self.form.arguments),
            effect=kind.effect,
            asks=kind.asks,
            group=kind.group,
            untrusted=kind.untrusted,
            deadline=kind.deadline,
        )

    async def run(self, order: Order) -> Output:
        """Do it; see :class:`beamclaw.contracts.tools.Tool`."""
        return output_of(await self._call(self.does, order))

    async def check(self, order: Order) -> Output | None:
        """What became of it; see the same."""
        if self.checks is None:
            return None
        said = await self._call(self.checks, order)
        return None if said is None else output_of(said)

    async def clear(self, order: Order) -> Clearance:
        """Whether a person has to be asked; see the same."""
        if self.clears is None:
            return Clear()
        return await self._call(self.clears, order)

    async def _call(self, function: Callable[..., Awaitable[Any]], order: Order) -> Any:
        try:
            given = structure(order.arguments, self.form.arguments)
        except Unfit as unfit:
            raise ToolFailed(
                f"{self.kind.name} was not begun, its arguments do not fit:\n{unfit}"
            ) from None
        call = self.form.call(function, given)
        wants = inspect.signature(function).parameters
        if self.form.order and self.form.order in wants:
            call = functools.partial(call, **{self.form.order: order})
        return await (call() if self.instance is None else call(self.instance))


def output_of(said: object) -> Output:
    """What a tool's function has said, as an output: a text, or any value as JSON."""
    match said:
        case Output():
            return said
        case str():
            return Output(said)
        case None:
            return Output("done")
        case _:
            plain = converter.unstructure(said)
            return Output(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())
