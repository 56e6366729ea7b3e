"""From the text of a YAML file to a tree in which every value knows its place.

YAML is read as events, not composed: that keeps all positions, bounds depth and size
before anything grows, and leaves the meaning of a plain word to the schema, so that
``no`` and ``012`` are never turned into something else behind a person's back.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import attrs
import yaml

from beamclaw.config.problems import Problem, Where
from beamclaw.values import frozen

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 100_000

_VARIABLE = re.compile(r"\$(\$?)\{([^{}\n]*)\}")
_MARKED = re.compile("\\$(\\$?)\ue000([^\ue000\ue001]*)\ue001")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE = re.compile(r"[-+]?[0-9](_?[0-9])*")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9](_?[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})


@frozen
class Scalar:
    """One value as it is written.

    Attributes:
        plain: Written without quotes, so it may also mean a number or nothing.
        variables: The variables whose values are in the text; it is never shown then.
    """

    text: str
    where: Where
    path: str
    plain: bool = True
    variables: tuple[str, ...] = ()

    @property
    def null(self) -> bool:
        """Whether nothing is said here."""
        return self.plain and not self.variables and self.text in _NULLS

    @property
    def whole(self) -> bool:
        """Whether it can be read as a whole number."""
        return self._unquoted and _WHOLE.fullmatch(self.text) is not None

    @property
    def number(self) -> bool:
        """Whether it can be read as a number."""
        return self._unquoted and _NUMBER.fullmatch(self.text) is not None

    @property
    def boolean(self) -> bool:
        """Whether it can be read as true or false."""
        return self._unquoted and self.text in _BOOLEANS

    @property
    def word(self) -> bool:
        """Whether it is text: in quotes, from a variable, or nothing else."""
        return bool(self.variables) or not (self.null or self.number or self.boolean)

    @property
    def _unquoted(self) -> bool:
        return self.plain or bool(self.variables)


class Branch(dict[str, Any]):
    """A mapping; *keys_at* says where each key stands."""

    def __init__(self, where: Where, path: str) -> None:
        super().__init__()
        self.where = where
        self.path = path
        self.keys_at: dict[str, Where] = {}

    def put(self, key: str, node: "Node", where: Where) -> None:
        """Set *key*, which stands at *where*."""
        self[key] = node
        self.keys_at[key] = where


class Listing(list[Any]):
    """A list."""

    def __init__(self, where: Where, path: str) -> None:
        super().__init__()
        self.where = where
        self.path = path


Node = Scalar | Branch | Listing


def found(node: Node, *, secret: bool = False) -> str:
    """What stands there, for an error message; nothing of a secret is shown."""
    if not isinstance(node, Scalar):
        return "a mapping" if isinstance(node, Branch) else "a list"
    if node.null:
        return "nothing"
    if node.variables:
        return f"the value of ${{{node.variables[0]}}}"
    return _found_kind(node) if secret else _found_text(node)


def _found_kind(node: Scalar) -> str:
    return "true or false" if node.boolean else "a number" if node.number else "a text"


def _found_text(node: Scalar) -> str:
    shown = node.text if len(node.text) <= 60 else node.text[:57] + "..."  # noqa: PLR2004
    if node.boolean:
        return shown
    return f"the number {shown}" if node.number else f"the text {json.dumps(shown)}"


def child(path: str, key: str | int) -> str:
    """The path of what *key* holds inside of *path*."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not re.fullmatch(r"[\w-]+", key):
        key = json.dumps(key, ensure_ascii=False)
    return f"{path}.{key}" if path else key


@attrs.define
class _Raw:
    """A node without a path: one may stand in many places, by aliases."""

    kind: str  # "scalar", "mapping", "list"
    where: Where
    text: str = ""
    plain: bool = False
    one_line: bool = True
    items: list["_Raw"] = attrs.Factory(list["_Raw"])
    open: bool = True


class CannotParse(Exception):  # noqa: N818 -- a situation
    """Reading a text cannot go on: *problem*, and *others* that were found before."""

    def __init__(
        self,
        where: Where,
        message: str,
        path: str = "",
        others: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.problem = Problem(where, path, message)
        self.others = others


def parse(
    text: str, source: str, variables: Mapping[str, str]
) -> tuple[Branch, list[Problem]]:
    """The tree of *text* and what is wrong with it.

    Args:
        text: The file.
        source: Its name, for positions.
        variables: What ``${NAME}`` stands for; ``$${NAME}`` is the text ``${NAME}``.

    A value with a problem is left out of the tree, so that the rest can be checked too.
    """
    try:
        return parse_part(text, source, variables)
    except CannotParse as stop:
        return Branch(Where(source, 1, 1), ""), [*stop.others, stop.problem]


def parse_part(
    text: str,
    source: str,
    variables: Mapping[str, str],
    *,
    path: str = "",
    depth: int = 0,
) -> tuple[Branch, list[Problem]]:
    """The same for a text that stands at *path*, below *depth* levels of others.

    Raises:
        CannotParse: Nothing of it can be taken.
    """
    raw = _compose(mask(text, source), source)
    reader = _Reader(variables)
    empty = Branch(Where(source, 1, 1), path)
    tree = empty if raw is None else reader.read(raw, path, depth)
    if isinstance(tree, Branch):
        return tree, reader.problems
    if isinstance(tree, Scalar) and tree.null:
        return empty, reader.problems
    # Somebody may have named a file by mistake that is a secret as a whole.
    what = "nothing usable" if tree is None else found(tree, secret=True)
    words = f"expected keys with values, like `gateway:`, found {what}"
    where = raw.where if raw else empty.where
    raise CannotParse(where, words, path, reader.problems)


def mask(text: str, source: str = "") -> str:
    """*text* with marks in place of the braces of variables, and as long as before.

    ``{key: ${NAME}}`` is no YAML: a brace cannot stand in a plain word there.
    """
    for mark in ("\ue000", "\ue001"):
        if mark in text:
            before = text[: text.index(mark)]
            line = before.count("\n") + 1
            column = len(before) - before.rfind("\n")
            raise CannotParse(
                Where(source, line, column), f"the character {mark!a} is not allowed"
            )
    return _VARIABLE.sub("$\\1\ue000\\2\ue001", text)


def unmask(text: str) -> str:
    """What :func:`mask` was given."""
    return text.replace("\ue000", "{").replace("\ue001", "}")


def _where(source: str, mark: Any) -> Where:
    return Where(source, mark.line + 1, mark.column + 1)


def _compose(text: str, source: str) -> _Raw | None:
    """Events to nodes, without recursion; ``None`` for an empty file."""
    root: _Raw | None = None
    path: list[_Raw] = []
    anchors: dict[str, _Raw] = {}
    for event in _events(text, source):
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            path.pop().open = False
            continue
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise CannotParse(
                _where(source, cast("Any", event).start_mark),
                "a second document begins here; one file holds one",
            )
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event, source, anchors)
        if path:
            path[-1].items.append(node)
        root = root or node
        if node.kind != "scalar" and not isinstance(event, yaml.AliasEvent):
            path.append(node)
            if len(path) > MAX_DEPTH:
                raise CannotParse(node.where, f"nested deeper than {MAX_DEPTH} levels")
    return root


def _events(text: str, source: str) -> Iterator[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from cast("Any", yaml).parse(text, Loader=loader)
    except yaml.reader.ReaderError as error:
        raise CannotParse(Where(source), f"not valid YAML: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        raise CannotParse(*_broken(text, source, error)) from None


def _broken(text: str, source: str, error: yaml.MarkedYAMLError) -> tuple[Where, str]:
    mark: Any = error.problem_mark or error.context_mark
    message = f"not valid YAML: {unmask(str(error.problem))}"
    if error.context and error.context_mark is not None:
        begun = error.context_mark.line + 1
        message += f" ({unmask(error.context)}, begun in line {begun})"
    lines = text.splitlines() or [""]
    if mark.line >= len(lines):  # the end of the file came too early
        return Where(source, len(lines), len(lines[-1]) + 1), message
    if lines[int(mark.line)][int(mark.column) :].startswith("\t"):
        message += "; indent by blanks, not by tabs"
    return _where(source, mark), message


def _node(event: Any, source: str, anchors: dict[str, _Raw]) -> _Raw:
    where = _where(source, event.start_mark)
    if isinstance(event, yaml.AliasEvent):
        known = anchors.get(str(event.anchor))
        if known is None:
            raise CannotParse(where, f"nothing is marked &{event.anchor}")
        if known.open and known.kind != "scalar":
            raise CannotParse(
                where, f"*{event.anchor} stands inside of &{event.anchor}"
            )
        return known
    if event.tag not in (None, "!"):
        raise CannotParse(where, f"tags are not understood: {event.tag}")
    if isinstance(event, yaml.ScalarEvent):
        one_line = event.start_mark.line == event.end_mark.line
        plain = not event.style
        node = _Raw("scalar", where, str(event.value), plain, one_line)
    else:
        mapping = isinstance(event, yaml.MappingStartEvent)
        node = _Raw("mapping" if mapping else "list", where)
    if event.anchor is not None:
        anchors[str(event.anchor)] = node
    return node


@attrs.define
class _Reader:
    """Gives every node its path, puts variables in, and counts."""

    variables: Mapping[str, str]
    problems: list[Problem] = attrs.Factory(list[Problem])
    count: int = 0

    def read(self, raw: _Raw, path: str, depth: int) -> Node | None:
        self.count += 1
        if self.count > MAX_VALUES or depth > MAX_DEPTH:
            raise CannotParse(
                raw.where,
                f"more than {MAX_VALUES} values or {MAX_DEPTH} levels, with "
                "repetitions by * counted",
            )
        if raw.kind == "scalar":
            return self._scalar(raw, path)
        if raw.kind == "mapping":
            return self._mapping(raw, path, depth)
        items = Listing(raw.where, path)
        for index, item in enumerate(raw.items):
            node = self.read(item, child(path, index), depth + 1)
            if node is not None:
                items.append(node)
        return items

    def _mapping(self, raw: _Raw, path: str, depth: int) -> Branch:
        branch = Branch(raw.where, path)
        pairs = iter(raw.items)
        for key, value in zip(pairs, pairs, strict=True):
            if key.kind != "scalar":
                self._wrong(key.where, path, "a key has to be a word")
                continue
            name = unmask(key.text)
            if name == "<<" and key.plain:
                self._wrong(key.where, path, "<< is not understood; write the keys out")
            elif name in branch.keys_at:
                first = branch.keys_at[name]
                self._wrong(
                    key.where,
                    child(path, name),
                    f"this key stands here a second time (first in line {first.line})",
                )
            else:
                branch.keys_at[name] = key.where
                node = self.read(value, child(path, name), depth + 1)
                if node is not None:
                    branch[name] = node
        return branch

    def _scalar(self, raw: _Raw, path: str) -> Scalar | None:
        used: list[str] = []
        sound = True

        def value(match: re.Match[str]) -> str:
            nonlocal sound
            escaped, name = match.groups()
            if escaped:
                return f"${{{name}}}"
            where = _within(raw, match.start())
            if not _NAME.fullmatch(name):
                sound = False
                self._wrong(
                    where,
                    path,
                    f"${{{name}}} is no variable: a name has letters, digits and _ "
                    "only, and nothing else stands in the braces ($${ is a plain ${)",
                )
                return ""
            if name not in self.variables:
                sound = False
                self._wrong(where, path, f"the variable {name} is not set")
                return ""
            used.append(name)
            return self.variables[name]

        text = unmask(_MARKED.sub(value, raw.text))
        if not sound:
            return None
        return Scalar(text, raw.where, path, raw.plain, tuple(used))

    def _wrong(self, where: Where, path: str, message: str) -> None:
        self.problems.append(Problem(where, path, message))


def _within(raw: _Raw, offset: int) -> Where:
    """The place of a character of the text: exact in plain one-line values."""
    column = cast("int", raw.where.column)
    if not (raw.plain and raw.one_line):
        return raw.where
    return attrs.evolve(raw.where, column=column + offset)


def without(tree: Branch, path: str) -> None:
    """Take what stands at *path* out of *tree*."""
    for key, node in list(tree.items()):
        if node.path == path:
            del tree[key]
        elif isinstance(node, Branch):
            without(node, path)
        elif isinstance(node, Listing):
            node[:] = [item for item in node if item.path != path]
