"""A page is read by a program of its own, which gets little memory and little time."""

import json
import math
import sys
from pathlib import Path
from typing import Final, Literal

import attrs

from beamclaw.contracts.commands import CannotStart, Ended, Launch, Limits, run
from beamclaw.contracts.sandbox import CannotIsolate, Need, Sandbox
from beamclaw.values import frozen
from beamclaw.web.exchange import Failed
from beamclaw.web.fetching import Page

PROGRAM: Final = Path(__file__).with_name("_reader.py")
# Bytes that a letter takes in what the reader writes, at most, and what it says beside.
_LETTER: Final = 12
_BESIDE: Final = 8 * 1024
_NEED: Final = Need(
    trust="untrusted",
    readable=(sys.base_prefix, sys.prefix, str(PROGRAM)),
    network=False,
    ours=True,
)

Mode = Literal["markdown", "text"]


@frozen(kw_only=True)
class Reader:
    """What reads pages.

    Attributes:
        tenant: Whose commands it is one of.
        seconds: That it gets for a page.
        memory: Bytes that it gets.
        sandbox: Where it runs; None: in none.
    """

    tenant: str
    seconds: float
    memory: int
    sandbox: Sandbox | None = None

    async def read(self, page: Page, *, mode: Mode, most: int, id: str) -> "Text":  # noqa: A002 -- what a command is called
        """The text of *page*; the reader is ended if this is cancelled.

        Args:
            page: What was fetched.
            mode: How it is wanted.
            most: Characters of it.
            id: No other command's.

        Raises:
            Failed: It cannot be read.
        """
        order = {
            "form": page.kind.form,
            "charset": page.kind.charset,
            "url": page.at.url,
            "mode": mode,
            "most": most,
        }
        try:
            ran = await run(
                self.tenant,
                await self._launch(),
                id=id,
                seconds=self.seconds,
                data=json.dumps(order).encode() + b"\n" + page.body,
                most=most * _LETTER + _BESIDE,
            )
        except (CannotStart, CannotIsolate) as error:
            raise Failed(str(error)) from None
        try:
            said = json.loads(ran.output)
        except ValueError:
            raise Failed(f"it could not be read: {self._why(ran.ended)}") from None
        cut = bool(said["cut"]) or page.cut
        return Text(title=str(said["title"]), text=str(said["text"]), cut=cut)

    async def _launch(self) -> Launch:
        launch = Launch(
            # Nothing of our environment, of our modules or of the site's.
            argv=(sys.executable, "-I", "-S", "-X", "utf8", str(PROGRAM)),
            cwd="/",
            env={},
            errors="dropped",
        )
        if self.sandbox is not None:
            launch = await self.sandbox.wrap(launch, _NEED)
        # Tighter than what holds for commands of agents.
        limits = Limits(
            memory=self.memory,
            cpu_seconds=math.ceil(self.seconds),
            file_size=1,
            open_files=64,
        )
        return attrs.evolve(launch, limits=limits)

    def _why(self, ended: Ended) -> str:
        if ended.by == "timeout" or ended.cpu_seconds >= self.seconds:
            return (
                f"that took more than {self.seconds:g} seconds (tools.web.read_seconds)"
            )
        if ended.by == "itself" and ended.code:
            return (
                f"it is too much for the {self.memory:,} bytes of what reads it "
                "(tools.web.read_memory), or not made to be read"
            )
        return ended.words or "what reads it was ended"


@frozen(kw_only=True)
class Text:
    """What there is to read; *cut*: there was more."""

    title: str
    text: str
    cut: bool
