"""What a model is told of commands."""

from collections.abc import Mapping
from signal import Signals
from typing import Final

from beamclaw.commands.messages import Known, View
from beamclaw.commands.ring import readable
from beamclaw.contracts.commands import Ended
from beamclaw.contracts.tools import Output

# Lines of a log that are shown where nobody says how many.
LINES: Final = 200
_TITLE: Final = 120


def result(view: View, said: str) -> Output:
    """Of a command that is over, to who has waited for it."""
    ended = view.ended
    assert ended is not None
    if ended.by == "start":
        return Output(f"it was not started: {ended.words}", is_error=True)
    parts = [_whole(view, said)]
    if ended.code != 0 or ended.left or ended.stuck or ended.starved:
        parts.append(f"[{how(ended)}]")
    failed = ended.code is None or ended.by != "itself"
    return Output("\n\n".join(parts), is_error=failed)


def _whole(view: View, said: str) -> str:
    text = readable(said).rstrip("\n") or "(no output)"
    if view.lost:
        return f"[the first {view.lost} characters are not kept]\n{text}"
    return text


def how(ended: Ended) -> str:  # noqa: C901 -- a case for each way
    """How a command came to its end."""
    match ended.by:
        case "itself":
            words = _code(ended)
        case "timeout":
            words = f"ended: its time was over ({_code(ended)})"
        case "order":
            words = f"ended by order ({_code(ended)})"
        case "output":
            words = "ended: it has said too much"
        case "loss":
            words = f"lost: {ended.words}"
        case "start":
            words = f"not started: {ended.words}"
        case "disk":
            words = f"ended: {ended.words}"
    if ended.starved:
        words += (
            f"; {_processes(ended.starved)} needed more memory than there is for it"
        )
    if ended.left:
        words += f"; {_processes(ended.left)} that it had left behind were ended"
    if ended.stuck:
        words += f"; {_processes(ended.stuck)} could not be ended"
    return words


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def _code(ended: Ended) -> str:
    if ended.signal is not None:
        try:
            return f"signal {Signals(ended.signal).name}"
        except ValueError:
            return f"signal {ended.signal}"
    return "no exit code" if ended.code is None else f"exit code {ended.code}"


def goes_on(view: View, tail: str) -> str:
    """Of a command that goes on in the background."""
    pid = "" if view.pid is None else f", pid {view.pid}"
    text = readable(tail).rstrip("\n")
    said = f"\n\nSo far:\n{text}" if text else ""
    return (
        f"It goes on in the background: session {view.id}{pid}. Use process with "
        f"sessionId {view.id} to look at it or to end it.{said}"
    )


def listing(found: Mapping[str, Known], now: float) -> str:
    """All commands of a session, the newest first."""
    rows = sorted(found.items(), key=lambda item: item[1].since, reverse=True)
    lines = [
        f"{id_}  {each.state}  {now - each.since:.0f} s  {_short(each.title)}"
        for id_, each in rows
    ]
    return "\n".join(lines) or "There are no commands, running or over."


def _short(title: str) -> str:
    line = " ".join(title.split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


def poll(view: View) -> str:
    """What a command has said since the last time."""
    new = readable(view.new).rstrip("\n") or "(nothing new)"
    if view.ended is None:
        return f"{new}\n\n[it runs, for {view.seconds:.0f} s]"
    return f"{new}\n\n[{how(view.ended)}]"


def log(said: str, offset: int | None, limit: int | None) -> str:
    """Lines of its output: from *offset* on, else the last ones."""
    lines = readable(said).splitlines()
    if not lines:
        return "(no output)"
    if offset is None:
        count = LINES if limit is None else limit
        first = max(0, len(lines) - count)
        last = len(lines)
    else:
        first = min(offset, len(lines))
        last = len(lines) if limit is None else min(len(lines), first + limit)
    text = "\n".join(lines[first:last])
    if first == 0 and last == len(lines):
        return text
    return f"[lines {first} to {last - 1} of {len(lines)}, from 0]\n{text}"


def written(size: int, waiting: int, *, eof: bool) -> str:
    """After it was given something to read."""
    more = f", behind {waiting} that it has not read yet" if waiting else ""
    end = "; it gets no more" if eof else ""
    return f"{size} bytes written{more}{end}"


def news(id_: str, title: str, ended: Ended | None, tail: str) -> str:
    """What a session is told when a command in the background is over."""
    came = "lost: the node has ended meanwhile" if ended is None else how(ended)
    text = readable(tail).rstrip("\n")
    said = f"\nIts output ends with:\n{text}" if text else ""
    return f"[The command {id_} is over: {came}.]\n{_short(title)}{said}"
