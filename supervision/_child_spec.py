"""Child specs: what a supervisor has to know of a child to start it again and again."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from ._errors import BadChildSpec
from ._life import not_callable
from ._mailbox_limit import MailboxLimit
from ._pid import Name
from .abc import Behaviour

_RESTARTS: Final = ("permanent", "transient", "temporary")
_TYPES: Final = ("worker", "supervisor")
RestartKind: TypeAlias = Literal["permanent", "transient", "temporary"]
ChildType: TypeAlias = Literal["worker", "supervisor"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
Start: TypeAlias = Callable[[], Behaviour | Awaitable[Any]]


class BrutalKill:
    """The type of `BRUTAL_KILL`."""

    def __repr__(self) -> str:
        return "BRUTAL_KILL"


class _ByStart(str):
    """The type was left to what starts the child; replaced at once."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


class _ByType(BrutalKill):
    """The shutdown value was left to the type of the child; replaced at once."""

    def __repr__(self) -> str:
        return "..."


_BY_START: Final[Any] = _ByStart()
_BY_TYPE: Final = _ByType()
BRUTAL_KILL: Final = BrutalKill()
"""A shutdown value: kill the child at once."""

ShutdownValue: TypeAlias = float | BrutalKill | None
_DEFAULT_SHUTDOWN: Final = 5.0


@attrs.frozen
class Intensity:
    """How many restarts inside which time are still tolerated.

    Attributes:
        max_restarts: Restarts inside one window.
        max_seconds: Length of the window, in seconds.
    """

    max_restarts: int = 3
    max_seconds: float = 5.0


def _as_intensity(value: Intensity | tuple[int, float]) -> Intensity:
    return value if isinstance(value, Intensity) else Intensity(*value)


@attrs.frozen
class CoolDown:
    """Instead of escalating: wait, and try for ever, with an alarm for every wait.

    For whatever depends on the outside. Not in OTP. Restarts of such a child do not count
    for its supervisor's ``max_restarts``.

    Attributes:
        after: Restarts that happen at once before the waiting begins. A child that then
            stays up for ``after.max_seconds`` begins anew.
        first: The first wait, in seconds; more than 0.
        factor: By what each further wait is longer; at least 1.
        most: The longest wait, in seconds, before chance has its part.
        jitter: The part of a wait that is left to chance, so that many children do not
            try in step; 0.1 is plus or minus a tenth, and 1 all of it.

    Raises:
        BadChildSpec: These numbers make no sense.
    """

    after: Intensity = attrs.field(default=Intensity(), converter=_as_intensity)
    first: float = 1.0
    factor: float = 2.0
    most: float = 60.0
    jitter: float = 0.1

    def __attrs_post_init__(self) -> None:
        check_limits(self.after.max_restarts, self.after.max_seconds)
        # Written so that a number that is none is refused, too.
        if not (0 < self.first <= self.most < math.inf):
            raise BadChildSpec(
                "the waits of a cool-down must be 0 < first <= most seconds, not "
                f"{self.first} and {self.most}",
            )
        if not (1 <= self.factor < math.inf and 0 <= self.jitter <= 1):
            raise BadChildSpec(
                "the factor of a cool-down must be >= 1 and its jitter between 0 and 1, "
                f"not {self.factor} and {self.jitter}",
            )


@attrs.frozen
class ChildSpec:
    """Describes one child.

    Attributes:
        id: Its name among the children of its supervisor.
        start: Called in the child's own new task, for every incarnation anew. Returns a
            behaviour (a server, a supervisor), or a coroutine for a plain process, which
            counts as started at once. Usually ``partial(Class, ...)`` or
            ``partial(async_fn, ...)``.
        name: Registered before the child runs, freed when it ends: a string, or a `Via`.
        restart: ``permanent`` always, ``transient`` after an abnormal end, ``temporary``
            never.
        shutdown: Seconds between the order to end and the kill; ``None`` waits for ever,
            `BRUTAL_KILL` not at all. 5 for workers and ``None`` for supervisors unless
            given.
        type: ``supervisor`` when the child is one. It need not be said of a class of
            supervisors, or a ``partial`` of one; it has to be of a function that returns
            one.
        significant: Its end counts for the supervisor's ``auto_shutdown``.
        cool_down: See `CoolDown`; the supervisor's when ``None``.
        mailbox: See `MailboxLimit`; without a limit when ``None``.
    """

    id: str
    start: Start = attrs.field(repr=False)
    name: Name | None = attrs.field(default=None, kw_only=True)
    restart: RestartKind = attrs.field(default="permanent", kw_only=True)
    shutdown: ShutdownValue = attrs.field(default=_BY_TYPE, kw_only=True)
    type: ChildType = attrs.field(default=_BY_START, kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    cool_down: CoolDown | None = attrs.field(default=None, kw_only=True)
    mailbox: MailboxLimit | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.type is _BY_START:
            object.__setattr__(self, "type", _type_of(self.start))
        if self.shutdown is _BY_TYPE:
            default = None if self.type == "supervisor" else _DEFAULT_SHUTDOWN
            object.__setattr__(self, "shutdown", default)
        check_spec(self)

    @property
    def grace(self) -> float | None:
        """The shutdown value in seconds; a brutal kill has none."""
        return 0.0 if isinstance(self.shutdown, BrutalKill) else self.shutdown


def _type_of(start: object) -> ChildType:
    while isinstance(start, partial):
        start = cast("partial[Any]", start).func
    if isinstance(start, type) and issubclass(start, Behaviour):
        return "supervisor" if start.is_supervisor else "worker"
    return "worker"


def _one_of(values: Iterable[str], got: object) -> str:
    return f"one of {', '.join(values)}, not {got!r}"


def check_spec(spec: ChildSpec) -> None:
    """Raise `BadChildSpec` for a spec that contradicts itself."""
    id, start, shutdown = spec.id, spec.start, spec.shutdown  # noqa: A001
    if not id or not isinstance(cast("object", id), str):
        raise BadChildSpec(f"a child spec needs an id, a string, not {id!r}")
    if not callable(start):
        raise BadChildSpec(f"{id!r}: {not_callable(start)}")
    if spec.restart not in _RESTARTS:
        raise BadChildSpec(f"{id!r}: restart is {_one_of(_RESTARTS, spec.restart)}")
    if spec.type not in _TYPES:
        raise BadChildSpec(f"{id!r}: type is {_one_of(_TYPES, spec.type)}")
    if not (
        shutdown is None
        or isinstance(shutdown, BrutalKill)
        or (
            isinstance(cast("object", shutdown), int | float)
            and 0 <= shutdown < math.inf
        )
    ):
        raise BadChildSpec(
            f"{id!r}: shutdown is a number of seconds, None for ever, or BRUTAL_KILL, "
            f"not {shutdown!r}",
        )
    cool_down = cast("object", spec.cool_down)
    if cool_down is not None and not isinstance(cool_down, CoolDown):
        raise BadChildSpec(f"{id!r}: cool_down is a CoolDown, not {cool_down!r}")
    mailbox = cast("object", spec.mailbox)
    if mailbox is not None and not isinstance(mailbox, MailboxLimit):
        raise BadChildSpec(f"{id!r}: mailbox is a MailboxLimit, not {mailbox!r}")
    if spec.significant and spec.restart == "permanent":
        raise BadChildSpec(
            f"{spec.id!r}: a permanent child cannot be significant, it never just ends",
        )


def check_significant(spec: ChildSpec, auto_shutdown: AutoShutdown) -> None:
    """Raise `BadChildSpec` for a significant child that nothing would come of."""
    if spec.significant and auto_shutdown == "never":
        raise BadChildSpec(
            f"{spec.id!r} is significant, but its supervisor's auto_shutdown is 'never'",
        )


def check_limits(max_restarts: int, max_seconds: float) -> None:
    """Raise `BadChildSpec` for an intensity that is none."""
    if max_restarts < 0 or max_seconds <= 0:
        raise BadChildSpec(
            f"max_restarts must be >= 0 and max_seconds > 0, not {max_restarts} and "
            f"{max_seconds}",
        )


def check_is_spec(spec: object) -> None:
    """Raise `BadChildSpec` for what is no child spec."""
    if not isinstance(spec, ChildSpec):
        raise BadChildSpec(
            f"{spec!r} is no child spec: wrap it, ChildSpec('its id', what starts it)"
        )


def check_ids(specs: Iterable[ChildSpec]) -> None:
    """Raise `BadChildSpec` when two children have the same id, or one is no spec."""
    if isinstance(specs, ChildSpec):
        raise BadChildSpec("children are a list of specs: put this one into brackets")
    seen: set[str] = set()
    for spec in specs:
        check_is_spec(spec)
        if spec.id in seen:
            raise BadChildSpec(f"two children have the id {spec.id!r}")
        seen.add(spec.id)
