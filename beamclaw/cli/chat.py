"""``beamclaw chat``: one message, or a conversation."""

import argparse
import contextlib
import os
import select
import signal
import sys
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from beamclaw.cli.answer import Answer, Show
from beamclaw.cli.asking import Asking
from beamclaw.cli.client import Client, Gone, NoNode, Refused, connect, result_of
from beamclaw.cli.output import CommandError, counted, result_json, tell
from beamclaw.cli.screen import Screen
from beamclaw.cli.verbs import Usage
from beamclaw.contracts.shell import MAX_FRAME, UNAVAILABLE, data_folder

# Seconds that a node may be away in the middle of an answer.
AWAY: Final = 60.0
AGAIN: Final = 0.25
# How often the waiting words are looked at.
TICK: Final = 0.25
INTERRUPTED: Final = 130
NOTHING: Final = "there is nothing to stop"
HELP: Final = """\
/new [MESSAGE]    begin a new conversation, with that message
/reset [MESSAGE]  the same
/stop             stop what this conversation does elsewhere
/help             this
Ctrl-C stops an answer, Ctrl-D leaves. Everything else is a message."""


class Interrupts:
    """Counts Ctrl-C instead of dying of it; *wake* becomes readable at each."""

    def __init__(self) -> None:
        self.count = 0
        self.wake, self._written = os.pipe()
        os.set_blocking(self._written, False)
        os.set_blocking(self.wake, False)

    @contextlib.contextmanager
    def counting(self) -> Generator[None]:
        """Inside, Ctrl-C is counted, from zero."""
        self.count = 0
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _note(self, *_: Any) -> None:
        self.count += 1
        with contextlib.suppress(BlockingIOError):
            os.write(self._written, b".")


class Left(Exception):  # noqa: N818 -- a situation
    """The person left in the middle of an answer."""


class Chat:
    """A conversation with one node; *answers*: its questions are answered here."""

    def __init__(
        self, options: argparse.Namespace, data: Path, *, answers: bool
    ) -> None:
        self._options = options
        self._data = data
        self._screen = Screen()
        self._interrupts = Interrupts()
        self._asking = Asking(data, self._screen, answers=answers)
        self._away_since: float | None = None

    def say(self, message: str) -> int:
        """Send *message* and show the answer; the exit code.

        Raises:
            NoNode: No node runs.
            CommandError: The node refuses it, or did not come back.
            Left: A second Ctrl-C.
        """
        if len(message) > MAX_FRAME // 4:
            raise CommandError(f"a message of {len(message)} characters is too long", 2)
        params = {
            "message": message,
            "id": str(uuid.uuid4()),
            "session": self._options.session,
            "agent": self._options.agent,
            "model": self._options.model,
            "queue": self._options.queue,
        }
        given = {name: value for name, value in params.items() if value is not None}
        with self._interrupts.counting():
            answer = self._follow(given)
        return self._close(answer)

    def stop(self) -> str:
        """Stop what the conversation does; what there was to stop, in words.

        Raises:
            CommandError: The node refuses it, or is not there.
        """
        params = {"session": self._options.session or "main"}
        if self._options.agent is not None:
            params["agent"] = self._options.agent
        try:
            with connect(self._data) as client:
                stopped = client.request("sessions.stop", params)["stopped"]
        except Gone:
            raise CommandError("the node stopped in this moment") from None
        return f"{counted(len(stopped), 'turn')} stopped" if stopped else NOTHING

    def _follow(self, params: Mapping[str, object]) -> Answer:
        """Until the end of the turn, over as many connections as it takes."""
        answer = Answer(time.monotonic())
        self._away_since = None
        self._screen.begin()
        self._asking.begin()
        while True:
            try:
                self._attempt(answer, params)
            except (Gone, NoNode, Refused) as error:
                self._lose(error, answer)
            else:
                return answer
            self._pause()

    def _attempt(self, answer: Answer, params: Mapping[str, object]) -> None:
        with connect(self._data) as client:
            self._begin(client, answer, params)
            for _ in self._events(client, answer):
                self._away_since = None

    def _lose(self, error: Exception, answer: Answer) -> None:
        """Go on, or raise *error* if it does not pass or has not passed for too long."""
        first = self._away_since is None
        never_there = first and isinstance(error, NoNode) and not answer.run_id
        passes = not isinstance(error, Refused) or error.kind == UNAVAILABLE
        if never_there or not passes:
            raise error
        now = time.monotonic()
        if self._away_since is None:
            self._screen.say("reconnecting")
            self._away_since = now
        if now - self._away_since > AWAY:
            raise CommandError(self._lost(answer)) from None

    def _begin(
        self, client: Client, answer: Answer, params: Mapping[str, object]
    ) -> None:
        # Before it is accepted, the same id makes sending again harmless.
        if answer.run_id is None:
            client.begin("chat", params)
        else:
            run = {"run_id": answer.run_id, "session_key": answer.session_key}
            client.begin("attach", run)

    def _events(self, client: Client, answer: Answer) -> Iterator[None]:
        """Show what comes until the turn is over; yields for each sign of life."""
        stopping = False
        watched = self._asking
        for frame in client.frames(TICK, self._interrupts.wake, lambda: watched.stdin):
            stopping = self._check(answer, stopping=stopping)
            if frame is None:
                self._look(answer)
                continue
            event = frame.get("event")
            if event is None:
                result_of(frame)
                return
            yield
            if self._options.json:
                result_json(event)
            for show in answer.take(event, time.monotonic()):
                self._show(answer, show)

    def _look(self, answer: Answer, *, at_once: bool = False) -> None:
        """What the turn waits for, and what it asks; and what was typed to that."""
        if self._options.json:
            return
        now = time.monotonic()
        self._asking.read()
        self._asking.look(answer, now, at_once=at_once)
        self._note("" if self._asking.busy else answer.waiting(now))

    def _show(self, answer: Answer, show: Show) -> None:
        if self._options.json:
            return
        if show.kind == "question":
            self._look(answer, at_once=True)
        elif show.kind == "text":
            self._screen.text(show.text)
        elif show.kind == "again":
            self._screen.again()

    def _note(self, words: str) -> None:
        if not self._options.json:
            self._screen.note(words)

    def _check(self, answer: Answer, *, stopping: bool) -> bool:
        """The first Ctrl-C stops the turn, the second leaves."""
        if self._interrupts.count > 1:
            raise Left
        if self._interrupts.count == 1 and not stopping and answer.run_id is not None:
            run = {"run_id": answer.run_id, "session_key": answer.session_key}
            # On a connection of its own; if it fails, a second Ctrl-C is left.
            with (
                contextlib.suppress(Gone, CommandError),
                connect(self._data) as client,
            ):
                client.request("abort", run)
            return True
        return stopping

    def _pause(self) -> None:
        """Wait before the next try; Ctrl-C leaves, since nobody is there to stop."""
        if not self._interrupts.count:
            select.select([self._interrupts.wake], [], [], AGAIN)
        if self._interrupts.count:
            raise Left

    def _lost(self, answer: Answer) -> str:
        words = f"the node on {self._data} did not come back within {AWAY:.0f} s"
        if answer.run_id is None:
            return f"{words}; whether it took the message is not known"
        return f"{words}; the turn is kept, and finished when it is started again"

    def _close(self, answer: Answer) -> int:
        """The end of a turn in words; the exit code."""
        ended = answer.ended
        if ended is None:
            raise CommandError("the node ended the answer without its end")
        if self._options.json:
            return _code(ended["outcome"], self._interrupts.count)
        self._screen.end_line()
        if ended["outcome"] == "aborted":
            self._screen.say("[stopped]")
        elif ended["outcome"] != "ok":
            self._screen.say(f"error: {ended['error'] or ended['stop_reason']}")
        elif ended["stop_reason"] == "length":
            self._screen.say("[cut off at the limit of tokens]")
        return _code(ended["outcome"], self._interrupts.count)


def _code(outcome: str, interrupts: int) -> int:
    if outcome == "ok":
        return 0
    return INTERRUPTED if outcome == "aborted" and interrupts else 1


def run(options: argparse.Namespace) -> int:
    """Send one message, or hold a conversation."""
    message = " ".join(options.message)
    answers = not message and sys.stdin.isatty()
    chat = Chat(options, data_folder(os.environ, options.data), answers=answers)
    if answers:
        return _conversation(chat, options)
    try:
        return chat.say(message or _standard_input())
    except Left:
        return INTERRUPTED


def _standard_input() -> str:
    try:
        text = sys.stdin.buffer.read(MAX_FRAME).decode().strip()
    except UnicodeDecodeError:
        raise Usage("beamclaw: standard input is not UTF-8 text") from None
    if not text:
        words = "there is nothing to send: no MESSAGE, and standard input is empty"
        raise Usage(f"beamclaw: {words}\nsee: beamclaw chat --help")
    return text


def _take(chat: Chat, message: str) -> None:
    """Do what was typed: a command of this program's, or a message."""
    match message.strip().lower():
        case "/help":
            tell(HELP)
        case "/stop":
            tell(chat.stop())
        case _:
            chat.say(message)


def _conversation(chat: Chat, options: argparse.Namespace) -> int:
    # Told before the first question, not after it.
    with connect(data_folder(os.environ, options.data)):
        pass
    from prompt_toolkit import PromptSession  # noqa: PLC0415 -- 0.1 s, wanted here only

    prompt: PromptSession[str] = PromptSession("> ")
    alone = 0  # Ctrl-C at the prompt, one after the other
    while True:
        try:
            message = prompt.prompt()
        except EOFError:
            return 0
        except KeyboardInterrupt:
            alone += 1
            if alone > 1:
                return INTERRUPTED
            tell("(Ctrl-C again or Ctrl-D leaves)")
            continue
        alone = 0
        if not message.strip():
            continue
        try:
            _take(chat, message)
        except Left:
            return INTERRUPTED
        except CommandError as error:
            tell(f"error: {error}")
