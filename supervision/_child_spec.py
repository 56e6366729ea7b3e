"""Child specs: what a supervisor has to know of a child to start it again and again."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

import attrs

from ._errors import BadChildSpec
from ._mailbox_limit import MailboxLimit
from ._pid import Name
from .abc import Behaviour

RestartKind: TypeAlias = Literal["permanent", "transient", "temporary"]
ChildType: TypeAlias = Literal["worker", "supervisor"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
Start: TypeAlias = Callable[[], Behaviour | Awaitable[Any]]


class BrutalKill:
    """The type of `BRUTAL_KILL`."""

    def __repr__(self) -> str:
        return "BRUTAL_KILL"


class _ByType(BrutalKill):
    """The shutdown value was left to the type of the child; replaced at once."""


_BY_TYPE: Final = _ByType()
BRUTAL_KILL: Final = BrutalKill()
"""A shutdown value: kill the child at once."""

Shutdown: TypeAlias = float | BrutalKill | None
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

    For whatever depends on the outside. Not in OTP.

    Attributes:
        after: Restarts that happen at once before the waiting begins. A child that then
            stays up for ``after.max_seconds`` begins anew.
        first: The first wait, in seconds.
        factor: By what each further wait is longer.
        most: The longest wait, in seconds.
        jitter: The part of a wait that is left to chance, so that many children do not
            try in step; 0.1 is plus or minus a tenth.
    """

    after: Intensity = attrs.field(default=Intensity(), converter=_as_intensity)
    first: float = 1.0
    factor: float = 2.0
    most: float = 60.0
    jitter: float = 0.1


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
        type: ``supervisor`` when the child is one.
        significant: Its end counts for the supervisor's ``auto_shutdown``.
        cool_down: See `CoolDown`; the supervisor's when ``None``.
        mailbox: See `MailboxLimit`; without a limit when ``None``.
    """

    id: str
    start: Start = attrs.field(repr=False)
    name: Name | None = attrs.field(default=None, kw_only=True)
    restart: RestartKind = attrs.field(default="permanent", kw_only=True)
    shutdown: Shutdown = attrs.field(default=_BY_TYPE, kw_only=True)
    type: ChildType = attrs.field(default="worker", kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    cool_down: CoolDown | None = attrs.field(default=None, kw_only=True)
    mailbox: MailboxLimit | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.shutdown is _BY_TYPE:
            default = None if self.type == "supervisor" else _DEFAULT_SHUTDOWN
            object.__setattr__(self, "shutdown", default)
        check_spec(self)

    @property
    def grace(self) -> float | None:
        """The shutdown value in seconds; a brutal kill has none."""
        return 0.0 if isinstance(self.shutdown, BrutalKill) else self.shutdown


def check_spec(spec: ChildSpec) -> None:
    """Raise `BadChildSpec` for a spec that contradicts itself."""
    if not spec.id:
        raise BadChildSpec("a child spec needs an id")
    if not callable(spec.start):
        raise BadChildSpec(f"{spec.id!r}: start must be callable")
    if spec.restart not in ("permanent", "transient", "temporary"):
        raise BadChildSpec(f"{spec.id!r}: no such restart kind: {spec.restart!r}")
    if spec.type not in ("worker", "supervisor"):
        raise BadChildSpec(f"{spec.id!r}: no such type: {spec.type!r}")
    if isinstance(spec.shutdown, int | float) and not 0 <= spec.shutdown < math.inf:
        raise BadChildSpec(f"{spec.id!r}: shutdown must be seconds, or None for ever")
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
        raise BadChildSpec("max_restarts must be >= 0 and max_seconds > 0")


def check_ids(specs: Iterable[ChildSpec]) -> None:
    """Raise `BadChildSpec` when two children have the same id."""
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise BadChildSpec(f"two children have the id {spec.id!r}")
        seen.add(spec.id)
