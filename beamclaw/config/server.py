"""The process ``config``: holds the node's configuration, and writes its file.

Whoever wants to know what holds looks at the registry's value and waits for nobody:
``supervision.lookup("config").value``. A file that has changed is read, judged as at a
start, and taken over as far as a running node can (:mod:`beamclaw.config.applying`); one
that is wrong changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

import supervision
from beamclaw.config import last_good
from beamclaw.config.applying import Part, Plan, holds_at_start, plan, waiting
from beamclaw.config.current import Current
from beamclaw.config.problems import ConfigError
from beamclaw.config.reference import plain
from beamclaw.config.schema import Config
from beamclaw.config.secret_reading import SecretReader
from beamclaw.config.token import with_token
from beamclaw.config.writing.documents import (
    Change,
    Document,
    Entry,
    Order,
    Refusal,
    Written,
)
from beamclaw.config.writing.writer import Writer, default_file
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.values import frozen

NAME: Final = "config"
TOPIC: Final = "node/config"
"""Where the bus tells of each :class:`Changed`."""
WRITTEN: Final = "beamclaw.config.written"
NOT_WRITTEN: Final = "beamclaw.config.refused"
APPLIED: Final = "beamclaw.config.applied"
NOT_APPLIED: Final = "beamclaw.config.not_applied"


@frozen
class GetDocument(supervision.Call[Document]):
    """The file as it stands; raises :class:`Refusal` if it cannot be read."""


@frozen
class Write(supervision.Call[Written]):
    """Change the file; raises :class:`Refusal`, and then nothing was changed."""

    order: Order


@frozen
class GetHistory(supervision.Call[Sequence[Entry]]):
    """The files that were replaced, the newest first."""


@frozen
class GetChanges(supervision.Call[Sequence[Change]]):
    """What the file said otherwise before it was replaced as entry *number*."""

    number: int


@frozen
class ReadAgain(supervision.Call["Reread"]):
    """Read the file and the secrets that stand elsewhere, whether they have changed or not.

    Raises :class:`Refusal`, and then what holds goes on to hold. *by* is who wants it.
    """

    by: str


@frozen(kw_only=True)
class Reread:
    """What came of it: how many keys are others now, and what is said of the file."""

    changes: int
    warnings: Sequence[str]


@frozen
class FileTouched:
    """A cast: the file is another one, perhaps."""


@frozen
class Changed:
    """The file was replaced; *hash* is of what is there now."""

    path: str
    hash: str
    paths: Sequence[str]


@frozen(kw_only=True)
class Origin:
    """Where the configuration of this node came from.

    Attributes:
        config: As it was read, before anything was added to it.
        variables: The environment that counted, *options* those of the command line.
        secrets: Reads those that stand elsewhere.
        text: Of the file that it was read from, to be kept as the last good one, with
            those that it has *included*.
        trouble: Why the file that there is could not be used, in words.
        warnings: What is probably a mistake in it, in words.
    """

    config: Config
    variables: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    options: Mapping[str, str] = attrs.field(factory=dict[str, str])
    secrets: SecretReader = attrs.field(factory=SecretReader, repr=False)
    text: str | None = attrs.field(default=None, repr=False)
    included: Mapping[Path, str] = attrs.field(factory=dict[Path, str], repr=False)
    trouble: str = ""
    warnings: Sequence[str] = ()


Renew = Callable[[Part, Config, Config], Awaitable[None]]
"""Begins a part of the tree anew: from what held before to what holds now.

Raises :class:`supervision.ChildError` when it does not start that way.
"""


async def nothing_to_renew(part: Part, before: Config, after: Config) -> None:
    """For a tree in which no part runs."""
    del part, before, after


class ConfigServer(supervision.Server):
    """See the module. Takes its configuration with it into every new life.

    An order is carried out in a thread, one after the other. Killed meanwhile, it leaves
    the file as it was or as it was to be; who has asked reads it again.
    """

    def __init__(
        self,
        current: Current,
        bus: Bus,
        outside: Outside,
        origin: Origin | None = None,
        renew: Renew = nothing_to_renew,
    ) -> None:
        config = current.config
        origin = origin or Origin(config=config)
        self._current = current
        self._bus = bus
        self._renew = renew
        self._worker = outside.worker()
        self._origin = origin
        self._writer = Writer(
            running=current.read,
            file=config.file or default_file(config.data),
            data=config.data,
            variables=origin.variables,
            options=origin.options,
            wall=outside.wall,
            secrets=origin.secrets,
        )

    async def init(self) -> supervision.Continue | None:
        """Publish the configuration; end what one before us was in the middle of."""
        supervision.update_value(NAME, self._current.config)
        return supervision.Continue()

    async def handle_continue(self, term: object) -> None:
        """Begin the parts anew by what the file says, or keep what holds."""
        del term
        if self._current.before:
            await self._look()
        elif self._current.read is self._origin.config:
            await self._keep(self._origin.text, self._origin.included)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See the requests."""
        try:
            match request:
                case Write(order):
                    return await self._write(order)
                case ReadAgain(by):
                    self._origin.secrets.let_grow_old()
                    todo, warnings = await self._reload(by)
                    return Reread(changes=len(todo.changes), warnings=warnings)
                case GetDocument() | GetHistory() | GetChanges():
                    return await self._worker.run(partial(self._read, request))
                case _:
                    return await super().handle_call(request, sender)
        except Refusal as refusal:
            supervision.emit(NOT_WRITTEN, {}, {"code": refusal.code})
            with point("config.refuse"):
                supervision.reply_error(sender, refusal)
            return supervision.NO_REPLY

    def _read(self, request: GetDocument | GetHistory | GetChanges) -> object:
        match request:
            case GetDocument():
                return self._writer.document()
            case GetHistory():
                return self._writer.history()
            case GetChanges(number):
                return self._writer.changes_since(number)

    async def handle_cast(self, message: object) -> None:
        """Look whether the file is another one."""
        if not isinstance(message, FileTouched):
            await super().handle_cast(message)
            return
        await self._look()

    async def _look(self) -> None:
        with suppress(Refusal):  # told in words, once; what holds goes on to hold
            await self._reload("the file")

    async def _write(self, order: Order) -> Written:
        written = await self._worker.run(partial(self._writer.write, order))
        if order.dry:
            left = [each for each in written.changes if holds_at_start(each.path)]
            return attrs.evolve(written, left=left)
        self._tell(order, written)
        try:
            todo, _ = await self._reload(order.by)
        except Refusal as refusal:
            return attrs.evolve(written, trouble=str(refusal))
        return attrs.evolve(written, left=todo.left)

    async def _reload(self, by: str) -> tuple[Plan, Sequence[str]]:
        """What has changed, and what is said of the file."""
        try:
            loaded = await self._worker.run(self._writer.load)
        except ConfigError as error:
            self._current.files = error.files
            words = "; ".join(map(str, error.problems))
            raise self._in_trouble(Refusal("invalid", words)) from None
        except Refusal as refusal:
            raise self._in_trouble(refusal) from None
        self._current.files = loaded.config.files
        todo = plan(self._current.read, loaded.config)
        warnings = tuple(map(str, loaded.warnings))
        if todo.changes:
            await self._take_over(todo)
        current = self._current
        # Told also when no key holds otherwise: others wait, or none does any more; the
        # file is right again; or something in it is probably a mistake.
        known = current.warnings
        current.warnings = warnings
        if (
            todo.changes
            or current.trouble
            or tuple(todo.left) != tuple(current.left)
            or warnings != known
        ):
            current.left, current.trouble = todo.left, ""
            supervision.emit(
                APPLIED,
                {"changes": len(todo.changes), "left": len(todo.left)},
                {
                    "by": by,
                    "paths": [change.path for change in todo.changes],
                    "parts": list(todo.parts),
                    "waiting": [change.path for change in todo.left],
                    "words": waiting(todo.left),
                },
            )
            if warnings and warnings != known:
                supervision.emit(
                    "beamclaw.config.doubtful",
                    {"warnings": len(warnings)},
                    {"by": by, "words": "; ".join(warnings)},
                )
        if not todo.changes and loaded.config.files != current.config.files:
            # It says the same, in other files: agents are kept from those.
            self._hold(attrs.evolve(current.config, files=loaded.config.files))
        await self._keep(loaded.text, loaded.included)
        return todo, warnings

    async def _keep(self, text: str | None, included: Mapping[Path, str]) -> None:
        """For a start with a file that cannot be used; the node does without it."""
        if text is None:
            return
        writer = self._writer
        kept = last_good.Kept(
            file=writer.file.absolute(),
            text=text,
            at=writer.wall(),
            included=included,
        )
        try:
            await self._worker.run(partial(last_good.keep, writer.data, kept))
        except OSError as error:
            why = f"the last good configuration was not kept: {error}"
            supervision.emit(NOT_APPLIED, {}, {"why": why})

    def _in_trouble(self, refusal: Refusal) -> Refusal:
        """Say it once, however often the file is looked at."""
        words = str(refusal)
        if words != self._current.trouble:
            self._current.trouble = words
            supervision.emit(NOT_APPLIED, {}, {"why": words})
        return refusal

    async def _take_over(self, todo: Plan) -> None:
        current = self._current
        after = await self._with_token(todo.config)
        before = current.before = current.before or current.config
        self._hold(after)
        try:
            for part in todo.parts:
                await self._renew(part, before, after)
        except supervision.ChildError as error:
            # A part does not start that way: all goes on as before.
            self._hold(before)
            for part in todo.parts:
                await self._renew(part, after, before)
            current.before = None
            words = f"a part of the node does not start that way: {error}"
            raise self._in_trouble(Refusal("not_applied", words)) from None
        current.read, current.before = todo.config, None
        self._writer = attrs.evolve(self._writer, running=todo.config)

    async def _with_token(self, config: Config) -> Config:
        try:
            return await self._worker.run(partial(with_token, config))
        except (ConfigError, OSError) as error:
            words = f"the gateway's token cannot be kept: {error}"
            raise self._in_trouble(Refusal("not_applied", words)) from None

    def _hold(self, config: Config) -> None:
        self._current.change(config)
        supervision.update_value(NAME, config)

    def _tell(self, order: Order, written: Written) -> None:
        paths = [change.path for change in written.changes]
        supervision.emit(
            WRITTEN,
            {"changes": len(paths)},
            {"by": order.by, "how": order.how, "paths": paths, "entry": written.entry},
        )
        self._bus.publish(TOPIC, Changed(written.path, written.hash, paths))

    def describe(self) -> Mapping[str, object]:
        """The configuration, secrets left out."""
        return plain(self._current.config)
