"""Questions of a turn to a person, asked in the middle of its answer.

The node is asked which there are while the turn waits, so nothing is missed that was
asked before somebody looked, or by a sub-agent.
"""

import os
import pwd
import select
import sys
import termios
from pathlib import Path
from typing import Any, Final, Protocol

from beamclaw.cli.answer import Answer
from beamclaw.cli.client import Gone, NoNode, Refused, connect
from beamclaw.cli.output import CommandError, Row
from beamclaw.cli.question import lines, name, over, prompt, reply, visible
from beamclaw.cli.typed import command

# Seconds between two looks at what is asked.
LOOK: Final = 1.0
_PHASES: Final = ("person", "agents", "tools")
_STDIN: Final = 0


class Says(Protocol):
    """Where lines for the person go."""

    def say(self, words: str) -> None:
        """One more."""
        ...


def who() -> str:
    """Who sits here, as the node notes it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


class Asking:
    """See the module.

    Args:
        data: Of the node.
        screen: Where it is asked.
        answers: Somebody sits here who can answer; else it is said how that is done.
    """

    def __init__(self, data: Path, screen: Says, *, answers: bool) -> None:
        self._data = data
        self._screen = screen
        self._answers = answers
        self._told: set[str] = set()
        self._current: Row | None = None
        self._next = 0.0

    @property
    def stdin(self) -> int | None:
        """What is watched for an answer; None: nothing is asked here."""
        return None if self._current is None or not self._answers else _STDIN

    @property
    def busy(self) -> bool:
        """The last line of the screen is a question."""
        return self._current is not None

    def begin(self) -> None:
        """Another turn."""
        self._told.clear()
        self._current, self._next = None, 0.0

    def look(self, answer: Answer, now: float, *, at_once: bool = False) -> None:
        """See what is asked, if it is time to; *now* on this program's clock."""
        if answer.ended is not None or answer.session_key is None:
            self._current = None
            return
        waits = answer.phase in _PHASES or self._current is not None
        # The turn asks first, and says then that it waits.
        if not at_once and (not waits or now < self._next):
            return
        self._next = now + LOOK
        rows = self._request("questions", {"session": answer.session_key})
        if rows is not None:
            self._see(rows, answer)
        self._tell_answered(answer)

    def _tell_answered(self, answer: Answer) -> None:
        """What somebody has answered before we could ask it here."""
        for id_ in answer.verdicts.keys() & answer.questions.keys() - self._told:
            self._told.add(id_)
            question, verdict = answer.questions[id_], answer.verdicts[id_]
            self._screen.say(f"\n{visible(question)}\n{over(*verdict)}")

    def _see(self, rows: list[Row], answer: Answer) -> None:
        current = self._current
        if current is not None and all(
            row["wait_id"] != current["wait_id"] for row in rows
        ):
            self._current = None
            verdict, by = answer.verdicts.get(current["wait_id"], (None, ""))
            self._screen.say(
                "\n" + over(verdict, by) if self._answers else over(verdict, by)
            )
        for row in rows:
            if self._current is None and row["wait_id"] not in self._told:
                self._ask(row)

    def _ask(self, row: Row) -> None:
        self._told.add(row["wait_id"])
        self._current = row
        self._screen.say("\n" + "\n".join(lines(row)))
        if not self._answers:
            self._say_how(row)
            return
        # What was typed before it was asked is no answer to it.
        if os.isatty(_STDIN):
            termios.tcflush(_STDIN, termios.TCIFLUSH)
        self._prompt(row)

    def _prompt(self, row: Row) -> None:
        sys.stderr.write(prompt(row))
        sys.stderr.flush()

    def _say_how(self, row: Row) -> None:
        id_ = name(row)
        self._screen.say(
            f"allow it with: {command('approvals allow', self._data, id_)}\n"
            f"or refuse it:  {command('approvals deny', self._data, id_)}"
        )

    # --- what is typed

    def read(self) -> None:
        """Take an answer, if somebody has typed one."""
        row = self._current
        if row is None or not self._answers:
            return
        if not select.select([_STDIN], [], [], 0)[0]:
            return
        typed = os.read(_STDIN, 4096)
        if not typed:  # Ctrl-D: not here
            self._answers = False
            self._screen.say("")
            self._say_how(row)
            return
        said = reply(
            typed.decode(errors="replace"), always=row.get("grant") is not None
        )
        if said is None:
            self._prompt(row)
            return
        self._current, self._next = None, 0.0
        params = {
            "wait_id": row["wait_id"],
            "session_key": row["session_key"],
            "verdict": said.verdict,
            "always": said.always,
            "text": said.text,
            "by": who(),
        }
        if self._request("answer", params) is None:
            # Whatever became of it is seen with the next look.
            self._told.discard(row["wait_id"])

    def _request(self, method: str, params: dict[str, Any]) -> Any:
        """On a connection of its own; None: it could not be done, and it was said why."""
        try:
            with connect(self._data) as client:
                return client.request(method, params)
        except Refused as error:
            self._screen.say(f"[{error}]")
        except (Gone, NoNode, CommandError):
            pass  # the answer's own connection tells of it
        return None
