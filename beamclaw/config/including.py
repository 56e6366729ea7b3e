"""``$include``: parts of the configuration that stand in files of their own.

As OpenClaw has it: a mapping that says ``$include: agents.yaml`` is what that file says.
Of several files, in a list, each is laid over those before it, and what stands beside
``$include`` over all of them: mappings are joined, lists are put one behind the other,
of anything else the last one holds. A file may include others, and says so relative to
itself; all of them stay in the folder of the configuration.

Other than there, a file has keys with values, no list; and a key without a value says
nothing here either, so it puts nothing in the place of what is below.

What a file says is asked of an :data:`Open`: nothing here reads a disk. The limits bound
how a configuration is read, so none of them can be a key of it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.config.document import (
    MAX_VALUES,
    Branch,
    CannotParse,
    Listing,
    Node,
    Scalar,
    child,
    found,
    parse_part,
)
from beamclaw.config.problems import Problem, Where
from beamclaw.values import frozen

INCLUDE: Final = "$include"
MAX_LEVELS: Final = 10
"""Files that lead to each other, the first one not counted; OpenClaw's number."""
MAX_FILES: Final = 100
"""Files that are included, each as often as it is."""
MAX_TOTAL: Final = 4 * 1024 * 1024
"""Characters of all of them."""

_EXPECTED: Final = "expected the name of a file or a list of such, found "


class CannotInclude(Exception):  # noqa: N818 -- a situation
    """A file cannot be taken in, in words that follow its name."""


Open = Callable[[Path], str]
"""What the file with an absolute name says; raises :class:`CannotInclude`."""


@frozen(kw_only=True)
class Whole:
    """A configuration with what it includes.

    Attributes:
        tree: In which each value knows its file, and no ``$include`` is left.
        problems: What is wrong with the files and with how they are named.
        texts: What was included, by its absolute name.
        files: The same files, and those that were looked for and could not be taken.
        shown: The files as problems name them, in the order in which they are read.
        complete: Whether all of it is there: without a part nobody can judge the rest.
    """

    tree: Branch
    problems: Sequence[Problem] = ()
    texts: Mapping[Path, str] = attrs.field(factory=dict[Path, str], repr=False)
    files: Sequence[Path] = ()
    shown: Sequence[str] = ()
    complete: bool = True


def taken_together(
    tree: Branch, file: Path, variables: Mapping[str, str], read: Open
) -> Whole:
    """*tree*, of the text of *file*, with what it includes.

    Args:
        tree: Its positions name the file as it was given; so do those of the others.
        file: Beside it, or below, is all that may be included.
        variables: What ``${NAME}`` stands for in the others.
        read: Gives what they say.
    """
    name = Path(os.path.abspath(file))  # noqa: PTH100 -- resolve() would follow a link
    reader = _Including(name.parent, variables, read)
    whole = reader.node(tree, _Place((name,), tree.where.source, 0))
    assert isinstance(whole, Branch)
    return Whole(
        tree=whole,
        problems=reader.problems,
        texts=reader.texts,
        files=reader.files,
        shown=reader.shown,
        complete=reader.complete,
    )


def at_include(path: str) -> str:
    """The path of the ``$include`` of the mapping at *path*."""
    return f"{path}.{INCLUDE}" if path else INCLUDE


def includes_of(node: Node) -> Iterator[tuple[str, Node]]:
    """The path of each mapping in *node* that includes something, and what it names."""
    if isinstance(node, Branch) and INCLUDE in node:
        yield node.path, node[INCLUDE]
    if not isinstance(node, Scalar):
        for each in node.values() if isinstance(node, Branch) else node:
            yield from includes_of(each)


@frozen
class _Place:
    """Where in the files we are.

    Attributes:
        files: From the configuration to the one that is read, absolute.
        shown: The last of them, as messages name it.
        depth: Mappings and lists around.
    """

    files: tuple[Path, ...]
    shown: str
    depth: int

    def deeper(self) -> "_Place":
        return attrs.evolve(self, depth=self.depth + 1)


@attrs.define
class _Including:
    """Takes files in, and counts.

    Attributes:
        root: The folder that none of them leaves.
    """

    root: Path
    variables: Mapping[str, str] = attrs.field(repr=False)
    read: Open
    problems: list[Problem] = attrs.field(factory=list[Problem], init=False)
    texts: dict[Path, str] = attrs.field(
        factory=dict[Path, str], init=False, repr=False
    )
    files: list[Path] = attrs.field(factory=list[Path], init=False)
    shown: list[str] = attrs.field(factory=list[str], init=False)
    complete: bool = attrs.field(default=True, init=False)
    _count: int = attrs.field(default=0, init=False)
    _characters: int = attrs.field(default=0, init=False)
    _values: int = attrs.field(default=0, init=False)

    def node(self, node: Node, place: _Place) -> Node:
        """*node* with what it includes."""
        if isinstance(node, Branch):
            return self._branch(node, place)
        if isinstance(node, Listing):
            items = Listing(node.where, node.path)
            items.extend(self.node(item, place.deeper()) for item in node)
            return items
        return node

    def _branch(self, branch: Branch, place: _Place) -> Branch:
        own = Branch(branch.where, branch.path)
        own.keys_at = {k: at for k, at in branch.keys_at.items() if k != INCLUDE}
        for key, node in branch.items():
            if key != INCLUDE:
                own[key] = self.node(node, place.deeper())
        if INCLUDE not in branch.keys_at:
            return own
        below = Branch(branch.where, branch.path)
        for name in self._names(branch):
            part = self._part(name, branch, place)
            if part is not None:
                below = _joined(below, part)
        return _joined(below, own)

    def _names(self, branch: Branch) -> list[Any]:
        """The files that *branch* includes, as it names them."""
        if INCLUDE not in branch:  # the reader has told what is wrong with it
            self.complete = False
            return []
        said: Node = branch[INCLUDE]
        wrong = _misnamed(said)
        if wrong is not None:
            self._wrong(wrong[0].where, at_include(branch.path), wrong[1])
            return []
        return list(said) if isinstance(said, Listing) else [said]

    def _part(self, name: Scalar, branch: Branch, place: _Place) -> Branch | None:
        """What the file *name* says, in the place of *branch*."""
        at = at_include(branch.path)
        file = Path(os.path.normpath(place.files[-1].parent / name.text))
        shown = _shown(place.shown, name.text)
        self.shown.append(shown)
        try:
            self._admit(file, place)
            text = self._text(file)
        except CannotInclude as error:
            self._wrong(name.where, at, f"{shown} {error}")
            return None
        try:
            part, problems = parse_part(
                text, shown, self.variables, path=branch.path, depth=place.depth
            )
        except CannotParse as error:
            self.problems += error.others
            self._wrong(error.problem.where, error.problem.path, error.problem.message)
            return None
        self.problems += problems
        self._values += _size(part)
        if self._values > MAX_VALUES:
            words = (
                f"{shown} makes it more than {MAX_VALUES} values, all files together"
            )
            self._wrong(name.where, at, words)
            return None
        below = attrs.evolve(place, files=(*place.files, file), shown=shown)
        return self._branch(part, below)

    def _admit(self, file: Path, place: _Place) -> None:
        """Refuse what would lead out of the folder, or to no end."""
        if not file.is_relative_to(self.root):
            raise CannotInclude(
                f"is not in the folder of the configuration, {self.root}"
            )
        if file in place.files:
            ways = [*place.files[place.files.index(file) :], file]
            names = " -> ".join(str(each.relative_to(self.root)) for each in ways)
            raise CannotInclude(f"is included by itself: {names}")
        if len(place.files) > MAX_LEVELS:
            raise CannotInclude(f"is more than {MAX_LEVELS} files away from the first")
        self._count += 1
        if self._count > MAX_FILES:
            raise CannotInclude(f"is one too many: at most {MAX_FILES} are included")

    def _text(self, file: Path) -> str:
        if file not in self.files:
            self.files.append(file)
        words = f"makes it more than {MAX_TOTAL} characters, all files together"
        if self._characters > MAX_TOTAL:  # after one that did, no other is read
            raise CannotInclude(words)
        text = self.read(file)
        self._characters += len(text)
        if self._characters > MAX_TOTAL:
            raise CannotInclude(words)
        self.texts[file] = text
        return text

    def _wrong(self, where: Where, path: str, message: str) -> None:
        self.complete = False
        self.problems.append(Problem(where, path, message))


def _misnamed(said: Node) -> tuple[Node, str] | None:
    """What does not name a file in the value of ``$include``, and why."""
    names: list[Node] = list(said) if isinstance(said, Listing) else [said]
    if not names:
        return said, f"{_EXPECTED}an empty list"
    for name in names:
        if not isinstance(name, Scalar) or "\0" in name.text:
            return name, _EXPECTED + found(name)
        if name.variables:
            return name, "a file's name is written out; no variable stands in it"
        if not (name.word and name.text):
            return name, _EXPECTED + found(name)
    return None


def _shown(including: str, name: str) -> str:
    """A file as messages name it: as the one that includes it is named."""
    return os.path.normpath(Path(including).parent / name)


def _size(node: Node) -> int:
    if isinstance(node, Scalar):
        return 1
    below: Sequence[Node] = list(node.values() if isinstance(node, Branch) else node)
    return 1 + sum(map(_size, below))


def _joined(below: Branch, over: Branch) -> Branch:
    both = Branch((over or below).where, over.path)
    both.keys_at = {**below.keys_at, **over.keys_at}
    both.update(below)
    for key, node in over.items():
        if key not in below:
            both[key] = node
        elif isinstance(node, Scalar) and node.null:
            both.keys_at[key] = below.keys_at[key]
        else:
            both[key] = _laid_over(below[key], node)
    return both


def _laid_over(below: Node, over: Node) -> Node:
    if isinstance(below, Branch) and isinstance(over, Branch):
        return _joined(below, over)
    if isinstance(below, Listing) and isinstance(over, Listing):
        both = Listing(below.where, below.path)
        items = [*below, *over]
        both.extend(
            _moved(item, child(below.path, at)) for at, item in enumerate(items)
        )
        return both
    return over


def _moved(node: Node, path: str) -> Node:
    """*node* as if it stood at *path*: problems are told apart by that."""
    if isinstance(node, Scalar):
        return attrs.evolve(node, path=path)
    if isinstance(node, Listing):
        items = Listing(node.where, path)
        items.extend(_moved(item, child(path, at)) for at, item in enumerate(node))
        return items
    branch = Branch(node.where, path)
    branch.keys_at = node.keys_at
    branch.update({key: _moved(each, child(path, key)) for key, each in node.items()})
    return branch
