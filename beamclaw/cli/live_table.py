"""The commands of ``beamclaw shell``, as one table: without I/O.

What each takes, what it asks of the node, how it is shown, and what help says stands
here and nowhere else: the prompt, ``-c`` and ``--json`` all go by it.
"""

import difflib
import json
import re
import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from beamclaw.cli import live_views as views
from beamclaw.cli.tree import gathered
from beamclaw.values import frozen

Params = dict[str, object]
Kind = Literal["process", "session", "text", "json", "message", "whole", "number"]
View = Callable[[Any, int], Iterator[str]]
# A name of a class, as a message or request of the node has it.
_CLASS: Final = re.compile(r"[A-Z]\w*\Z")


class Wrong(Exception):  # noqa: N818 -- a situation
    """What was typed is no command; the message says what would be right."""


class Left(Exception):  # noqa: N818 -- a situation
    """The person wants to leave."""


@frozen
class Argument:
    """What stands behind a command, or (with two strokes before it) an option of it.

    *kind* ``rest``: all that follows, as it was typed.
    """

    name: str
    kind: Kind | Literal["rest", "flag"] = "text"
    required: bool = True
    words: str = ""

    @property
    def usage(self) -> str:
        """How help shows it."""
        shown = self.name.upper()
        if self.name.startswith("--"):
            value = "" if self.kind == "flag" else f" {self.name[2:].upper()}"
            return f"[{self.name}{value}]"
        return shown if self.required else f"[{shown}]"


@frozen(kw_only=True)
class Command:
    """One command. *view* gets its result, or each of its events, and the width.

    *gathers* makes one result of all events.
    """

    name: str
    words: str
    example: str
    method: str
    view: View
    takes: Sequence[Argument] = ()
    streams: bool = False
    gathers: Callable[[Generator[Any, None, Any]], Any] | None = None

    @property
    def usage(self) -> str:
        """Its name and what it takes."""
        return " ".join([self.name, *(each.usage for each in self.takes)])


PROCESS: Final = Argument(
    "process", "process", words="a name, <number>, session, or place in the tree"
)
SECONDS: Final = Argument("--seconds", "number", words="for how long")
MOST: Final = Argument("--most", "whole", words="how many are shown")

COMMANDS: Final[Sequence[Command]] = (
    Command(
        name="tree",
        words="processes, drawn, with how they stand",
        example="tree tenant:default --depth 1",
        method="look.tree",
        view=views.tree,
        gathers=gathered,
        takes=(
            Argument("root", "process", required=False, words="where to begin"),
            Argument("--depth", "whole", words="levels below"),
            MOST,
            Argument("--limit", "whole", words="processes in all"),
        ),
    ),
    Command(
        name="info",
        words="how one process stands",
        example="info ledger",
        method="look.info",
        view=views.info,
        takes=(PROCESS,),
    ),
    Command(
        name="state",
        words="what a process says of itself",
        example="state main",
        method="look.state",
        view=views.state,
        takes=(PROCESS,),
    ),
    Command(
        name="mailbox",
        words="the messages that wait for a process",
        example="mailbox main --most 5",
        method="look.mailbox",
        view=views.mailbox,
        takes=(PROCESS, MOST),
    ),
    Command(
        name="waiting",
        words="where a process stands, as a Python stack",
        example="waiting main",
        method="look.waiting",
        view=views.waiting,
        takes=(PROCESS,),
    ),
    Command(
        name="trace",
        words="what a process takes and answers, as it happens; Ctrl-C ends it",
        example="trace main --kind call --seconds 60",
        method="trace",
        view=views.traced,
        streams=True,
        takes=(
            PROCESS,
            Argument(
                "--kind",
                "text",
                words="of call, cast, info, reply: only these, with commas",
            ),
            Argument("--text", "text", words="what has to be in a message"),
            MOST,
            SECONDS,
        ),
    ),
    Command(
        name="sessions",
        words="the conversations that are awake, stuck ones first",
        example="sessions",
        method="look.sessions",
        view=views.sessions,
        takes=(MOST,),
    ),
    Command(
        name="turn",
        words="where the time of a session's last turn went",
        example="turn main",
        method="look.turn",
        view=views.turn,
        takes=(
            Argument("session", "session", required=False, words="main, if none"),
            Argument("--run", "text", words="another turn than the last"),
        ),
    ),
    Command(
        name="limits",
        words="caps of spending, and permits of providers",
        example="limits",
        method="look.limits",
        view=views.limits,
    ),
    Command(
        name="slow",
        words="who held up the whole node, and in what",
        example="slow",
        method="look.slow",
        view=views.slow,
    ),
    Command(
        name="leaks",
        words="what has grown since a mark: objects, memory, descriptors",
        example="leaks --mark",
        method="look.leaks",
        view=views.leaks,
        takes=(Argument("--mark", "flag", words="count from now on"),),
    ),
    Command(
        name="suspend",
        words="have a process handle nothing, until it is resumed",
        example="suspend main",
        method="steer.suspend",
        view=views.done("suspended"),
        takes=(PROCESS,),
    ),
    Command(
        name="resume",
        words="take suspend back",
        example="resume main",
        method="steer.resume",
        view=views.done("goes on"),
        takes=(PROCESS,),
    ),
    Command(
        name="replace",
        words="give a field of a process's state another value",
        example="replace main revivals 0",
        method="steer.replace",
        view=views.replaced,
        takes=(
            PROCESS,
            Argument("field"),
            Argument("value", "json", required=False, words="JSON, or a text"),
            Argument("--expression", "text", words="Python that sees old and state"),
        ),
    ),
    Command(
        name="restart",
        words="end a process in order, kill it if it does not, have it back",
        example="restart main",
        method="steer.restart",
        view=views.restarted,
        takes=(PROCESS,),
    ),
    Command(
        name="kill",
        words="end a process at once; its supervisor decides what follows",
        example="kill default/limits",
        method="steer.kill",
        view=views.restarted,
        takes=(PROCESS,),
    ),
    Command(
        name="send",
        words="put a message into a mailbox",
        example="send main LookAgain",
        method="steer.send",
        view=views.done("has it"),
        takes=(
            PROCESS,
            Argument("message", "message", words="JSON, or the name of a class"),
            Argument("fields", "json", required=False, words="of that class, as JSON"),
            Argument("--cast", "flag", words="as a cast"),
        ),
    ),
    Command(
        name="call",
        words="ask a process, and show its reply",
        example="call limits GetLimits",
        method="steer.call",
        view=views.replied,
        takes=(
            PROCESS,
            Argument("message", "message", words="the name of a request's class"),
            Argument("fields", "json", required=False, words="of that class, as JSON"),
            SECONDS,
        ),
    ),
    Command(
        name="fault",
        words="do a process harm, for a drill: crash, hang, flood or block",
        example="fault main hang --seconds 30",
        method="steer.fault",
        view=views.faulted,
        takes=(
            PROCESS,
            Argument("kind", words="crash, hang, flood or block"),
            SECONDS,
            Argument("--count", "whole", words="messages of a flood"),
        ),
    ),
    Command(
        name="eval",
        words="a Python expression in the node, if the configuration allows it",
        example='eval await supervision.sys.get_state(find("main"))',
        method="eval",
        view=views.evaluated,
        takes=(Argument("expression", "rest"),),
    ),
)
BY_NAME: Final[Mapping[str, Command]] = {each.name: each for each in COMMANDS}
# What is answered without the node.
OWN: Final = ("help", "exit")


def split(text: str) -> list[str]:
    """*text* at each ``;`` and new line outside quotes; what is empty is left out."""
    parts, quote, begun, escaped = list[str](), "", 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in ";\n":
            parts.append(text[begun:at])
            begun = at + 1
    return [part.strip() for part in (*parts, text[begun:]) if part.strip()]


def parse(line: str) -> tuple[Command, Params]:
    """The command that *line* is, and its parameters.

    Raises:
        Wrong: It is none.
    """
    name, _, rest = line.strip().partition(" ")
    command = BY_NAME.get(name)
    if command is None:
        raise Wrong(unknown(name))
    if command.takes and command.takes[0].kind == "rest":
        if not rest.strip():
            raise Wrong(f"usage: {command.usage}")
        return command, {command.takes[0].name: rest.strip()}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise Wrong(f"{error}".lower()) from None
    return command, _params(command, words)


def unknown(name: str) -> str:
    """What to say of a command that there is not."""
    close = difflib.get_close_matches(name, [*BY_NAME, *OWN], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"there is no command {name!r}{hint}; help lists them"


def _params(command: Command, words: Sequence[str]) -> Params:
    options = {each.name: each for each in command.takes if each.name[0] == "-"}
    places = [each for each in command.takes if each.name[0] != "-"]
    params: Params = {}
    left, given = list(words), list[str]()
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            given.append(word)
            continue
        option = options.get(word)
        if option is None:
            raise Wrong(f"there is no option {word}; usage: {command.usage}")
        if option.kind == "flag":
            params[word[2:]] = True
        elif not left:
            raise Wrong(f"{word} needs a value; usage: {command.usage}")
        else:
            params[word[2:]] = _value(option, left.pop(0))
    if len(given) > len(places):
        raise Wrong(f"{given[len(places)]!r} is too much; usage: {command.usage}")
    for place, word in zip(places, given, strict=False):
        params[place.name] = _value(place, word)
    missing = [each for each in places[len(given) :] if each.required]
    if missing:
        raise Wrong(f"{missing[0].name} is missing; usage: {command.usage}")
    return _settled(command, params)


def _value(argument: Argument, word: str) -> object:
    match argument.kind:
        case "json" | "message":
            return _json(argument.kind, word)
        case "whole" if word.isascii() and word.isdigit():
            return int(word)
        case "number":
            try:
                return float(word)
            except ValueError:
                pass
        case "whole":
            pass
        case _:
            return word
    raise Wrong(f"{argument.name} has to be a number, not {word!r}")


def _json(kind: str, word: str) -> object:
    if kind == "message" and _CLASS.match(word):
        return {"type": word, "fields": {}}
    try:
        return json.loads(word)
    except ValueError:
        return word


def _settled(command: Command, params: Params) -> Params:
    """What is typed in other words than it is asked in."""
    message, fields = params.get("message"), params.pop("fields", None)
    if fields is not None:
        if not isinstance(message, dict):
            raise Wrong("fields belong to the name of a class")
        params["message"] = {**message, "fields": fields}
    if command.method == "trace" and "kind" in params:
        # Which kinds there are, the node knows; it says so of one that there is not.
        params["kinds"] = str(params.pop("kind")).split(",")
    return params


# --- help


def help_of(name: str) -> Iterator[str]:
    """Help on one command, or on all if there is no *name*.

    Raises:
        Wrong: There is no such command.
    """
    if not name:
        width = max(len(each.name) for each in COMMANDS)
        yield from (f"{each.name:<{width}}  {each.words}" for each in COMMANDS)
        yield f"{'help':<{width}}  this; help COMMAND says more of one"
        yield f"{'exit':<{width}}  leave; so does Ctrl-D"
        return
    command = BY_NAME.get(name)
    if command is None:
        raise Wrong(unknown(name))
    yield f"usage: {command.usage}"
    yield f"  {command.words}"
    width = max((len(each.name) for each in command.takes), default=0)
    for each in command.takes:
        if each.words:
            yield f"  {each.name:<{width}}  {each.words}"
    yield f"example: {command.example}"
