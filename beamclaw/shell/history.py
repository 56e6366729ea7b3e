"""How the node was in the last hours, for who has not looked meanwhile."""

from collections.abc import Mapping
from typing import Final

from beamclaw.contracts.statistics import NAME as STATISTICS
from beamclaw.contracts.statistics import History, ReadHistory
from beamclaw.shell.request import Method, Node, Params, Send, in_words, number

PATIENCE: Final = 10.0
_LATEST: Final = 1e10
_COLUMNS: Final = ("lag", "resident", "processes", "turns", "calls", "tokens")


async def history(node: Node, params: Params, send: Send) -> object:
    """A point a minute of the last day, in columns: those over after ``since``.

    ``at`` has their times, in seconds since the epoch; ``errors`` a column of each
    provider that has some; ``began`` says from when on there are any.
    """
    del send
    since = number(params, "since", 0.0, least=0.0, most=_LATEST)
    with in_words():
        found = await node.bus.call(STATISTICS, ReadHistory(since), timeout=PATIENCE)
    return columns(found)


def columns(found: History) -> Mapping[str, object]:
    """The same without a name at each number: a day is sent in one answer."""
    minutes = found.minutes
    failing = sorted({name for minute in minutes for name in minute.errors})
    return {
        "began": found.began,
        "every": found.every,
        "at": [minute.at for minute in minutes],
        **{name: [getattr(each, name) for each in minutes] for name in _COLUMNS},
        "errors": {
            name: [minute.errors.get(name, 0) for minute in minutes] for name in failing
        },
    }


HISTORY: Final[Mapping[str, Method]] = {"look.history": history}
