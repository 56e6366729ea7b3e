"""Where a secret is, when the configuration does not say what it is.

Every key that takes a secret takes one of these mappings in its place; they have this one
reader. What they lead to is read by :mod:`beamclaw.config.secret_reading`.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.config.document import Branch, Listing, Node, Scalar, found
from beamclaw.config.problems import NO_HOME, Problem, Wrong, at_home
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen

LONGEST_SECONDS: Final = 600.0


@frozen
class InVariable:
    """``{env: NAME}``: the same as ``${NAME}``."""

    name: str

    def __str__(self) -> str:
        return f"the variable {self.name}"


@frozen
class InFile:
    """``{file: PATH}``, relative to the folder of the configuration."""

    path: Path

    def __str__(self) -> str:
        return f"the file {self.path}"


@frozen
class FromCommand:
    """``{command: [PROGRAM, ARGUMENT]}``: what it prints; no shell reads the words.

    Attributes:
        seconds: How long it may take; None: what the configuration says for all.
        folder: Where it runs.
    """

    words: tuple[str, ...] = attrs.field(repr=False)
    folder: Path
    seconds: float | None = None

    def __str__(self) -> str:
        # Its arguments are nobody's business: there are people who write keys there.
        return f"the command {Path(self.words[0]).name}"


@frozen
class InKeyring:
    """``{keyring: SERVICE/NAME}``: an entry of the system's keyring."""

    service: str
    name: str

    def __str__(self) -> str:
        return f"the keyring's entry {self.service}/{self.name}"


Form = InVariable | InFile | FromCommand | InKeyring


class CannotRead(Exception):  # noqa: N818 -- a situation
    """A secret is not where it was said to be; in words that have nothing of it."""


# No key of the schema has one of these names.
_LEADING: Final = frozenset({"file", "command", "keyring"})
FORMS: Final = (
    "${NAME}, {file: PATH}, {command: [PROGRAM, ...]}, {keyring: SERVICE/NAME}"
)
_OPENCLAW: Final = frozenset({"source", "provider", "id"})
PLACES: Final = frozenset({"env", "file", "keyring", "seconds"}) | _OPENCLAW
"""Keys of which everybody may see what stands there."""
_WITH: Final[Mapping[str, frozenset[str]]] = {"command": frozenset({"seconds"})}


def form_of(node: Branch, folder: Path) -> Form:
    """What *node* says, with paths relative to *folder*.

    Raises:
        Wrong: It says nothing that is understood.
    """
    if "source" in node:
        return _openclaw(node)
    kind = next((name for name in _KINDS if name in node), None)
    if kind is None:
        raise _wrong(node, f"expected a text or one of {FORMS}{_hint(node)}")
    extra = [name for name in node if name != kind and name not in _WITH.get(kind, ())]
    if extra:
        what = f"{{{kind}: …}} has no {extra[0]}"
        raise Wrong(Problem(node.keys_at[extra[0]], node.path, what))
    return _KINDS[kind](node, folder)


def places(node: Node) -> Iterator[Branch]:
    """The mappings in *node* that lead out of the configuration and its environment."""
    if isinstance(node, Branch) and _LEADING & set(node):
        yield node
    elif not isinstance(node, Scalar):
        for each in node.values() if isinstance(node, Branch) else node:
            yield from places(each)


def _variable(node: Branch, folder: Path) -> Form:
    del folder
    return InVariable(_word(node, "env", "the name of a variable"))


def _file(node: Branch, folder: Path) -> Form:
    return InFile(folder / path_of(node["file"], _word(node, "file", "a path")))


def _command(node: Branch, folder: Path) -> Form:
    listed: Any = node["command"]
    if not isinstance(listed, Listing) or not listed:
        what = "a list of words, as [pass, show, KEY], since no shell reads it"
        raise _expected(what, listed)
    words = tuple(_text(item, "a word") for item in listed)
    program = path_of(listed[0], words[0])
    if program.parent != Path():  # anything else is looked for in PATH
        words = (str(folder / program), *words[1:])
    seconds = node.get("seconds")
    return FromCommand(words, folder, None if seconds is None else _seconds(seconds))


def _keyring(node: Branch, folder: Path) -> Form:
    del folder
    said = _word(node, "keyring", "SERVICE/NAME")
    service, slash, name = said.rpartition("/")
    if not (slash and service and name) or service.startswith("-"):
        raise _expected("SERVICE/NAME", node["keyring"])
    return InKeyring(service, name)


_KINDS: Final[Mapping[str, Callable[[Branch, Path], Form]]] = {
    "env": _variable,
    "file": _file,
    "command": _command,
    "keyring": _keyring,
}


def _openclaw(node: Branch) -> Form:
    """OpenClaw's way to say it, as far as there is the same here."""
    source = _word(node, "source", "env")
    extra = [name for name in node if name not in _OPENCLAW]
    if extra:
        what = f"{{source: …}} has no {extra[0]}"
        raise Wrong(Problem(node.keys_at[extra[0]], node.path, what))
    if source != "env":
        other = {"file": "{file: PATH}", "exec": "{command: [PROGRAM, ...]}"}
        instead = other.get(source, FORMS)
        words = f"source: {source} means one of OpenClaw's secrets.providers, which are"
        raise _wrong(node, f"{words} not read here; write {instead}")
    if "id" not in node:
        raise _wrong(node, "has no id, which is the name of the variable")
    return InVariable(_word(node, "id", "the name of a variable"))


def _word(node: Branch, key: str, what: str) -> str:
    return _text(node[key], what)


def _text(node: Node, what: str) -> str:
    if (
        isinstance(node, Scalar)
        and not node.null
        and node.text
        and "\0" not in node.text
    ):
        return node.text
    raise _expected(what, node)


def path_of(node: Node, text: str) -> Path:
    """The path that *text*, of *node*, names; ``~`` is a home.

    Raises:
        Wrong: It is nobody's.
    """
    path = at_home(text)
    if path is None:
        raise Wrong(Problem(node.where, node.path, NO_HOME))
    return path


def _seconds(node: Node) -> float:
    if isinstance(node, Scalar) and node.number:
        seconds = float(node.text)
        if 0 < seconds <= LONGEST_SECONDS:
            return seconds
    what = f"a number of seconds above 0, {LONGEST_SECONDS:g} at most"
    raise _expected(what, node)


def _expected(what: str, node: Node) -> Wrong:
    words = f"expected {what}, found {found(node, secret=True)}"
    return Wrong(Problem(node.where, node.path, words))


def _wrong(node: Branch, words: str) -> Wrong:
    return Wrong(Problem(node.where, node.path, words))


def _hint(node: Branch) -> str:
    """A key that was meant, perhaps; nothing of what stands there, it may be the secret."""
    for name in node:
        close = difflib.get_close_matches(name, list(_KINDS), n=1)
        if close:
            return f"; did you mean {close[0]}?"
    return ""


Find = Callable[[Form], Secret]
"""Reads what a form leads to.

Raises :class:`CannotRead`.
"""


def secret_at(node: Branch, folder: Path, find: Find) -> str:
    """The secret that *node* leads to.

    Raises:
        Wrong: It leads to none.
    """
    form = form_of(node, folder)
    try:
        return find(form).reveal()
    except CannotRead as error:
        raise _wrong(node, str(error)) from None
