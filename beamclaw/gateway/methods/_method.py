"""One method of the gateway's protocol: a function with its scope and its parameters.

::

    @frozen(kw_only=True)
    class WaitParams:
        run_id: Text
        timeout_ms: Whole = 30_000

    @method("agent.wait", scope=WRITE, params=WaitParams)
    async def wait(context: Context, params: WaitParams) -> object:
        ...

On the wire a parameter is in camel case (``runId``). What is not declared is refused,
and so is a null where the type does not say ``Annotated[..., Null()]``. What the
function returns is the response's payload; what it raises as
:class:`~beamclaw.gateway.errors.MethodError` is the response's error. Anything else it raises ends the
request with a general error, and nothing but the request.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

import attrs

from beamclaw.arguments import Length, Range, Unfit, structure
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tracing import UNTRACED, Given
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.errors import Fault, bad_params, missing_scope
from beamclaw.gateway.hall import Client
from beamclaw.gateway.methods._node import Node
from beamclaw.values import frozen

P = TypeVar("P")

Text = Annotated[str, Length(1)]
"""A text that says something."""
Whole = Annotated[int, Range(0, 2**53 - 1)]
"""A number that counts something."""


@frozen
class NoParams:
    """A method that takes no parameters."""


@frozen(kw_only=True)
class Context:
    """What a method has beside its parameters.

    Attributes:
        principal: Who asks; allowed to, that was decided before.
        bus: The way to every subsystem, by the messages of its contract.
        outside: Clock and ids.
        node: What the gateway itself is made of: its configuration, its tables.
        client: The client that asks; None: it is no client that stays (HTTP).
        request_id: The request's own id.
        given: Names of the parameters that were given (as on the wire): null and left
            out are told apart by it where that matters.
        trace: To whose trace the request belongs.
        answer: Gives a first response at once, with this payload; what the method
            returns becomes the second one with the same id.
    """

    principal: Principal
    bus: Bus
    outside: Outside
    node: Node
    client: Client | None = None
    request_id: str = ""
    given: frozenset[str] = frozenset()
    trace: Given = UNTRACED
    answer: Callable[[object], None] = attrs.field(default=lambda _: None)

    @property
    def tenant(self) -> str:
        """Whose sessions the method may see."""
        return self.principal.tenant

    @property
    def now_ms(self) -> int:
        """Wall clock, in milliseconds since the epoch, as all times on the wire."""
        return round(self.outside.wall() * 1000)


Run = Callable[[Context, Any], Awaitable[object]]
# Scopes that a request needs beyond the method's own, for what it asks in particular.
More = Callable[[Any], tuple[str, ...]]


@frozen(kw_only=True)
class Method:
    """A method, as the table has it.

    Attributes:
        name: As on the wire.
        scope: What who asks needs at least.
        params: The class of its parameters.
        run: Does it.
        more: What particular parameters need beside; None: nothing.
        published: Whether it is in OpenClaw's list; else it is ours alone.
    """

    name: str
    scope: str
    params: type[Any]
    run: Run
    more: More | None = None
    published: bool = True

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]

    def read(self, given: object) -> Any:
        """The parameters.

        Raises:
            MethodError: They are not what it takes.
        """
        return read_params(self.name, {} if given is None else given, self.params)

    def check(self, principal: Principal, params: object) -> None:
        """Whether *principal*, who may ask for it, may do so with *params*.

        Raises:
            MethodError: They may not.
        """
        more = self.more(params) if self.more else ()
        for scope in more:
            if not principal.may(scope):
                raise missing_scope(scope, (self.scope, *more))


def method(
    name: str,
    *,
    scope: str,
    params: type[P] = NoParams,
    more: Callable[[P], tuple[str, ...]] | None = None,
    published: bool = True,
) -> Callable[[Callable[[Context, P], Awaitable[object]]], Method]:
    """Declare a function as the method *name*; see the module."""

    def declare(run: Callable[[Context, P], Awaitable[object]]) -> Method:
        return Method(
            name=name,
            scope=scope,
            params=params,
            run=run,
            more=more,
            published=published,
        )

    return declare


def read_params(name: str, given: object, params: type[P]) -> P:
    """*given* as *params*, for what *name* names.

    Raises:
        MethodError: It does not fit.
    """
    try:
        return structure(given, params, strict=True)
    except Unfit as unfit:
        faults = [Fault(_pointer(place), words) for place, words in unfit.faults]
        raise bad_params(name, faults) from None


_STEP: Final = re.compile(r"\.|\[|\](?=[.\[]|$)")


def _pointer(place: str) -> str:
    """``client.ids[0]`` as ``/client/ids/0``."""
    if not place:
        return ""
    steps = [step.strip("'") for step in _STEP.split(place)]
    return "/" + "/".join(step for step in steps if step)
