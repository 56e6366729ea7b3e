"""Scripts of the demo provider: what is written in them, read and checked.

What one looks like says :mod:`beamclaw.providers.demo`. It is read here so that a faulty
one is found with the configuration that names it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import orjson

from beamclaw.values import frozen


@frozen
class Wish:
    """A tool call of a script."""

    tool: str
    arguments: Mapping[str, Any]


@frozen
class Scene:
    """One entry of a script: what to answer where *match* is found.

    *rounds* are the calls of tools before that, those of a round at once.
    """

    match: re.Pattern[str] | None
    reply: str
    delay: float | None = None
    rounds: tuple[tuple[Wish, ...], ...] = ()

    def about(self, said: str) -> "Scene | None":
        """The scene with the groups of *said* in it; ``None``: it is not about that."""
        if self.match is None:
            return self
        found = self.match.search(said)
        if found is None:
            return None
        rounds = tuple(
            tuple(Wish(call.tool, _expanded(call.arguments, found)) for call in calls)
            for calls in self.rounds
        )
        return attrs.evolve(self, reply=found.expand(self.reply), rounds=rounds)


def _expanded(value: Any, found: re.Match[str]) -> Any:
    """*value* with the groups of *found* in every text."""
    if isinstance(value, str):
        return found.expand(value)
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {key: _expanded(item, found) for key, item in given.items()}
    if isinstance(value, list):
        return [_expanded(item, found) for item in cast("list[Any]", value)]
    return value


class ScriptError(ValueError):
    """The script cannot be used; says which entry and why."""


def read_script(path: Path) -> tuple[Scene, ...]:
    """The script in *path*.

    Raises:
        ScriptError: It cannot be read or is no script: the person's mistake, in words.
    """
    import yaml  # noqa: PLC0415 -- a start without a script does not need it

    try:
        entries: object = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ScriptError(f"{path}: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ScriptError(f"{path}: a list of entries with match and reply is wanted")
    listed = cast("list[object]", entries)
    return tuple(_scene(f"{path}, entry {n}", e) for n, e in enumerate(listed, 1))


def _scene(where: str, entry: object) -> Scene:
    if not isinstance(entry, dict):
        raise ScriptError(f"{where}: not a mapping with match, reply, delay and calls")
    given = cast("dict[str, Any]", entry)
    if unknown := given.keys() - {"match", "reply", "delay", "calls"}:
        names = ", ".join(sorted(map(str, unknown)))
        raise ScriptError(f"{where}: unknown key {names} (match, reply, delay, calls)")
    reply, match, delay = given.get("reply"), given.get("match"), given.get("delay")
    if not isinstance(reply, str) or not reply.strip():
        raise ScriptError(f"{where}: reply has to be text")
    if match is not None and not isinstance(match, str):
        raise ScriptError(f"{where}: match has to be a regular expression, as text")
    if delay is not None and (
        not isinstance(delay, int | float) or isinstance(delay, bool) or delay < 0
    ):
        raise ScriptError(f"{where}: delay has to be seconds, 0 or more")
    rounds = _rounds(where, given.get("calls", []))
    arguments = [call.arguments for calls in rounds for call in calls]
    try:
        orjson.dumps((reply, arguments))
    except TypeError as error:  # half of a character, bytes, a set
        raise ScriptError(f"{where}: cannot be said to a model: {error}") from None
    try:
        pattern = None if match is None else re.compile(match, re.IGNORECASE)
        scene = Scene(pattern, reply, delay, rounds)
        if pattern is not None:
            # Groups of the reply, or of an argument, that do not exist.
            for text in (reply, *_texts(arguments)):
                re.sub(pattern, text, "")
    except re.error as error:
        raise ScriptError(f"{where}: {error}") from None
    return scene


def _rounds(where: str, calls: object) -> tuple[tuple[Wish, ...], ...]:
    if not isinstance(calls, list):
        raise ScriptError(f"{where}: calls has to be a list")
    listed = cast("list[object]", calls)
    rounds = [cast("list[object]", e) for e in listed if isinstance(e, list) and e]
    if len(rounds) < len(listed):
        rounds = [listed]
    return tuple(_wishes(where, entry) for entry in rounds)


def _wishes(where: str, calls: Iterable[Any]) -> tuple[Wish, ...]:
    wishes: list[Wish] = []
    for call in calls:
        match call:
            case {"tool": str(tool), **rest} if tool and rest.keys() <= {"arguments"}:
                arguments = rest.get("arguments", {})
            case _:
                raise ScriptError(f"{where}: a call has tool and arguments")
        if not isinstance(arguments, dict):
            raise ScriptError(f"{where}: the arguments of {tool} have to be a mapping")
        wishes.append(Wish(tool, cast("dict[str, Any]", arguments)))
    return tuple(wishes)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(cast("dict[str, Any]", value).values()))
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)
