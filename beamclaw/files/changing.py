"""The tools that change files, under OpenClaw's names: write, edit and apply_patch.

All of them are *checkable*: what a call has decided is written down before a file is
touched, see :mod:`beamclaw.files.changes`. A ``write`` could simply be made again, but for
an edit that the same turn has made after it: that would be undone.
"""

import functools
import stat
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import attrs

from beamclaw.contracts.approvals import Ask, Clear, Clearance, digest_of
from beamclaw.contracts.tools import Order, ToolFailed
from beamclaw.files import edits as edits_
from beamclaw.files import patch as patch_
from beamclaw.files.changes import Change, Changes, Content, content, digest, digest_at
from beamclaw.files.edits import Edit
from beamclaw.files.receipts import Receipts
from beamclaw.files.setting import Setting
from beamclaw.files.text import decoded
from beamclaw.paths import NotThere, Place, find, where
from beamclaw.toolkit import tool

# Seconds between two looks at receipts whose time is over.
_SWEEP_EVERY = 3600.0


class ChangeTools:
    """Those of one agent.

    Args:
        setting: What they work with.
    """

    def __init__(self, setting: Setting) -> None:
        self._outside = setting.outside
        self._roots = setting.roots
        self._limits = setting.limits
        self._bench = setting.bench
        self._receipts = Receipts(setting.receipts)
        self._changes = Changes(self._roots, self._receipts, self._limits.max_bytes)
        self._swept = 0.0

    @tool(effect="checkable", group="fs", asks="by-call")
    async def write(self, order: Order, path: str, content: str) -> str:
        """Write a file, all of it: a new one, or in the place of what was there.

        Folders that are missing are made. To change a part of a file, use edit.

        Args:
            order: The call.
            path: The file, from the workspace or absolute.
            content: All that is to stand in it.
        """
        data = content.encode("utf-8", "surrogatepass")
        self._fits("it", data)
        places = await self._bench.do(lambda: self._places([path]))
        async with self._alone_with(_keys(places)):
            plan = functools.partial(self._written, order, path, data)
            return await self._carry_out(order, await self._bench.do(plan))

    def _written(
        self, order: Order, path: str, data: bytes
    ) -> tuple[str, list[Change]]:
        place = where(self._roots, path)
        place.require_writable()
        before = mode = None
        with suppress(NotThere), find(self._roots, path) as spot:
            spot.require_writable()
            place, before = spot.place, digest_at(spot, self._limits.max_bytes)
            mode = None if spot.status is None else stat.S_IMODE(spot.status.st_mode)
        self._agreed(order, [place])
        done = "wrote" if before is None else "overwrote"
        said = f"{done} {place}: {len(data):,} bytes"
        return said, [Change(place, before, data, mode)]

    @write.checks
    async def _check_write(self, order: Order) -> str | None:
        return await self._resume(order)

    @write.clears
    async def _clear_write(self, order: Order, path: str, content: str) -> Clearance:
        return await self._clear(order, [path], content)

    @tool(effect="checkable", group="fs", asks="by-call")
    async def edit(
        self,
        order: Order,
        path: str,
        old_text: str | None = None,
        new_text: str | None = None,
        edits: list[Edit] | None = None,
    ) -> str:
        """Replace texts in a file: each has to be in it exactly as given, and once.

        Give oldText and newText, or several of them as edits. All are looked for in the
        file as it is now. Nothing is changed unless all of them fit.

        Args:
            order: The call.
            path: The file, from the workspace or absolute.
            old_text: What stands there, exactly, with enough around it to be there once.
            new_text: What takes its place; empty removes it.
            edits: Several at once, in place of oldText and newText.
        """
        wanted = _wanted(old_text, new_text, edits)
        places = await self._bench.do(lambda: self._places([path]))
        async with self._alone_with(_keys(places)):
            plan = functools.partial(self._edited, order, path, wanted)
            return await self._carry_out(order, await self._bench.do(plan))

    def _edited(
        self, order: Order, path: str, wanted: Sequence[Edit]
    ) -> tuple[str, list[Change]]:
        place, found = self._look(path)
        self._agreed(order, [place])
        name = str(place)
        if found.data is None:
            raise ToolFailed(f"there is no file {name}; use write to make one")
        before = decoded(found.data, name)
        after = edits_.edited(before, wanted, name).encode()
        self._fits(name, after)
        change = Change(place, digest(found.data), after, found.mode)
        count = len(wanted)
        said = f"replaced {count} texts" if count > 1 else "replaced one text"
        return f"{said} in {name}", [change]

    @edit.checks
    async def _check_edit(self, order: Order) -> str | None:
        return await self._resume(order)

    @edit.clears
    async def _clear_edit(
        self,
        order: Order,
        path: str,
        old_text: str | None,
        new_text: str | None,
        edits: list[Edit] | None,
    ) -> Clearance:
        wanted = _wanted(old_text, new_text, edits)
        return await self._clear(order, [path], repr(wanted))

    @tool(effect="checkable", group="fs", asks="by-call", name="apply_patch")
    async def apply_patch(self, order: Order, input: str) -> str:  # noqa: A002 -- theirs
        """Change several files at once, by a patch; all of it is done or nothing.

        It begins with *** Begin Patch and ends with *** End Patch. Between them stand
        *** Add File: path (then lines with +), *** Delete File: path, or *** Update File:
        path, perhaps followed by *** Move to: path, then lines with a blank (they stay),
        - (they go) or + (they come), and @@ with a line above them where they could be in
        several places.

        Args:
            order: The call.
            input: The patch.
        """
        ops = patch_.parsed(input)
        places = await self._bench.do(lambda: self._places(self._paths(ops)))
        async with self._alone_with(_keys(places)):
            plan = functools.partial(self._patched, order, ops)
            return await self._carry_out(order, await self._bench.do(plan))

    def _paths(self, ops: Sequence[patch_.Op]) -> list[str]:
        paths = list(dict.fromkeys(path for op in ops for path in patch_.named(op)))
        if len(paths) > self._limits.patch_files:
            raise ToolFailed(
                f"the patch is about {len(paths)} files; at most "
                f"{self._limits.patch_files} are changed (tools.files.patch_files)"
            )
        return paths

    def _patched(
        self, order: Order, ops: Sequence[patch_.Op]
    ) -> tuple[str, list[Change]]:
        names: dict[str, str] = {}
        places: dict[str, Place] = {}
        data: dict[str, tuple[bytes | None, int | None]] = {}
        texts: dict[str, str | None] = {}
        for path in self._paths(ops):
            place, found = self._look(path)
            name = names[path] = str(place)
            places[name] = place
            data[name] = found.data, found.mode
            there = found.data
            texts[name] = None if there is None else decoded(there, name)
        self._agreed(order, list(places.values()))
        after = patch_.applied([_by_place(op, names) for op in ops], texts)
        changes: list[Change] = []
        signs: list[str] = []
        for name, (text, origin) in after.items():
            was, mode = data[name]
            now = None if text is None else text.encode()
            if now == was:
                continue
            if now is not None:
                self._fits(name, now)
                mode = data[origin][1] if origin is not None else mode
            changes.append(Change(places[name], digest(was), now, mode))
            signs.append(
                f"{'D' if now is None else 'A' if was is None else 'M'} {name}"
            )
        if not changes:
            raise ToolFailed("the patch changes nothing: all files are so already")
        return "done:\n" + "\n".join(signs), changes

    @apply_patch.checks
    async def _check_patch(self, order: Order) -> str | None:
        return await self._resume(order)

    @apply_patch.clears
    async def _clear_patch(self, order: Order, input: str) -> Clearance:  # noqa: A002
        return await self._clear(order, self._paths(patch_.parsed(input)), input)

    # --- what they have in common

    def _places(self, paths: Sequence[str]) -> list[Place]:
        return [where(self._roots, path) for path in paths]

    def _look(self, path: str) -> tuple[Place, Content]:
        """Where *path* is, and what is there; it may be written."""
        with suppress(NotThere), find(self._roots, path) as spot:
            spot.require_writable()
            return spot.place, content(spot, self._limits.max_bytes)
        place = where(self._roots, path)
        place.require_writable()
        return place, Content(None)

    def _fits(self, name: str, data: bytes) -> None:
        if len(data) > self._limits.max_bytes:
            raise ToolFailed(
                f"{name} would have {len(data):,} bytes; at most "
                f"{self._limits.max_bytes:,} are written (tools.files.max_bytes)"
            )

    @asynccontextmanager
    async def _alone_with(self, paths: Sequence[str]) -> AsyncGenerator[None]:
        """Nobody changes these files meanwhile, and what was begun with them is done.

        A call that was interrupted has a say before all that come after it: they see
        what it has decided.
        """
        begun = await self._bench.do(
            lambda: self._changes.touching(paths, self._bench.changing)
        )
        more = [target.path for each in begun for target in each.targets]
        async with self._bench.alone_with([*paths, *more]):
            async with self._bench.catching_up:
                await self._bench.do_whole(
                    lambda: self._changes.catch_up(paths, self._bench.changing)
                )
            yield

    async def _carry_out(self, order: Order, plan: tuple[str, list[Change]]) -> str:
        said, changes = plan
        self._bench.changing.add(order.key)
        try:
            return await self._bench.do_whole(
                lambda: self._carried_out(order.key, said, changes)
            )
        finally:
            self._bench.changing.discard(order.key)

    def _carried_out(self, key: str, said: str, changes: Sequence[Change]) -> str:
        now = self._outside.wall()
        if not self._swept <= now < self._swept + _SWEEP_EVERY:
            self._swept = now
            self._receipts.sweep(now - self._limits.receipt_seconds)
        return self._changes.carry_out(key, said, changes)

    async def _resume(self, order: Order) -> str | None:
        paths = await self._bench.do(lambda: self._changes.targets(order.key))
        async with self._alone_with(paths):
            return await self._bench.do_whole(lambda: self._changes.resume(order.key))

    async def forget(self, order: Order) -> None:
        """Its result is in the journal: nobody asks any more what it has done."""
        await self._bench.do(lambda: self._receipts.forget(order.key))

    # --- leave

    async def _clear(self, order: Order, paths: Sequence[str], said: str) -> Clearance:
        if not order.tainted:
            return Clear()
        places = await self._bench.do(lambda: self._places(paths))
        guarded = sorted({str(place) for place in places if place.protected})
        if not guarded:
            return Clear()
        facts: dict[str, object] = {"paths": guarded, "said": said}
        return Ask(
            question=(
                f"May {order.tool} change {', '.join(guarded)}, after the conversation "
                "has read words of strangers? What stands there comes into every later "
                "conversation."
            ),
            digest=digest_of(order.tool, facts),
            details={"files": "\n".join(guarded), "text": said[:2000]},
        )

    def _agreed(self, order: Order, places: Sequence[Place]) -> None:
        """Once more, of the place that is written: a link may lead elsewhere by now."""
        if order.tainted and not order.approved:
            for place in places:
                if place.protected:
                    raise ToolFailed(
                        f"{place} is changed only when a person agrees, and nobody was "
                        "asked; ask for it again"
                    )


def _keys(places: Sequence[Place]) -> list[str]:
    return [str(place.path) for place in places]


def _wanted(
    old: str | None, new: str | None, several: Sequence[Edit] | None
) -> list[Edit]:
    """One edit or several, as the model prefers."""
    wanted = list(several or ())
    if old is not None or new is not None:
        if old is None or new is None:
            missing = "oldText" if old is None else "newText"
            raise ToolFailed(f"{missing} is missing: both are needed, or edits")
        wanted.append(Edit(old, new))
    if not wanted:
        raise ToolFailed(
            "there is nothing to replace: give oldText and newText, or edits"
        )
    return wanted


def _by_place(op: patch_.Op, names: Mapping[str, str]) -> patch_.Op:
    """*op* by where its files really are."""
    moved = attrs.evolve(op, path=names[op.path])
    if isinstance(moved, patch_.Update) and moved.move_to is not None:
        return attrs.evolve(moved, move_to=names[moved.move_to])
    return moved
