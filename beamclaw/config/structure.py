"""From the tree of a file to the schema's values, by cattrs; every fault is found.

cattrs by itself makes a number of a text and a text of anything. The hooks here take
what a person wrote only for what it is, and say in words what was expected.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from beamclaw.config.document import Branch, Listing, Node, Scalar, child, found
from beamclaw.config.problems import Problem, Wrong
from beamclaw.config.schema import Keys, Range
from beamclaw.config.secret_forms import CannotRead, Find, Form, path_of, secret_at
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]


@frozen
class _Reading:
    """What belongs to one file."""

    folder: Path
    warnings: list[Problem]
    find: Find


# A converter is made once, since to make it takes far longer than to read a file with it;
# what its hooks have to know of the file stands here, for whoever reads at the moment.
_READING: ContextVar[_Reading] = ContextVar("reading")


def _find_nothing(form: Form) -> Secret:
    raise CannotRead(f"{form} is not read here")


def structure(
    tree: Branch, as_type: type[T], folder: Path, find: Find = _find_nothing
) -> tuple[T | None, list[Problem], list[Problem]]:
    """The value (if nothing is wrong), errors and warnings.

    Args:
        tree: What was read.
        as_type: A class of the schema.
        folder: What relative paths are relative to.
        find: Reads secrets that stand elsewhere.
    """
    warnings: list[Problem] = []
    before = _READING.set(_Reading(folder, warnings, find))
    try:
        value = _converter().structure(tree, as_type)
    except (Wrong, ExceptionGroup) as error:
        return None, list(_problems(error)), warnings
    finally:
        _READING.reset(before)
    return value, [], warnings


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?``, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def keys_of(cls: type) -> dict[str, "attrs.Attribute[Any]"]:
    """The fields of a class of the schema that are keys of the file."""
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))
    return {f.name: f for f in fields if not f.metadata.get("internal")}


def _problems(error: BaseException) -> Iterable[Problem]:
    if isinstance(error, Wrong):
        yield error.problem
    elif isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from _problems(inner)
    else:  # not about what a person wrote: a fault of the schema
        raise error


def _expected(what: str, node: Node, hint: str = "", *, secret: bool = False) -> Wrong:
    message = f"expected {what}, found {found(node, secret=secret)}{hint}"
    return Wrong(Problem(node.where, node.path, message))


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(bool, lambda node, _: _boolean(node))
    converter.register_structure_hook(int, lambda node, _: _number(node, None, int))
    converter.register_structure_hook(float, lambda node, _: _number(node, None, float))
    converter.register_structure_hook(str, lambda node, _: _text(node))
    converter.register_structure_hook(Secret, lambda node, _: Secret(_secret(node)))
    converter.register_structure_hook(Path, lambda node, _: _path(node))
    table: tuple[tuple[object, Callable[[Any], Hook]], ...] = (
        (Annotated, _annotated),
        (Literal, _choice),
        (tuple, lambda kind: _listing(converter, kind)),
        (Mapping, lambda kind: _names(converter, kind)),
    )
    for origin, factory in table:
        converter.register_structure_hook_factory(_has_origin(origin), factory)
    converter.register_structure_hook_factory(attrs.has, partial(_keys, converter))
    converter.register_structure_hook_func(
        lambda kind: kind == Keys, lambda node, _: _secrets(node)
    )
    return converter


def _secrets(node: Any) -> Keys:
    """One secret, or a list of them."""
    if isinstance(node, Scalar) and node.null:
        return None
    if isinstance(node, Listing):
        return tuple(Secret(_secret(item)) for item in node)
    return Secret(_secret(node))


def _secret(node: Any) -> str:
    """A secret as it is written, or where it is."""
    if not isinstance(node, Branch):
        return _text(node, secret=True)
    reading = _READING.get()
    return secret_at(node, reading.folder, reading.find)


def _has_origin(origin: object) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) is origin


def _text(node: Any, *, secret: bool = False) -> str:
    if isinstance(node, Scalar) and node.word:
        return node.text
    quotes = isinstance(node, Scalar) and (node.number or node.boolean)
    hint = "; put it in quotes" if quotes else ""
    raise _expected("a text", node, hint, secret=secret)


def _path(node: Any) -> Path:
    return _READING.get().folder / path_of(node, _text(node))


def _boolean(node: Any) -> bool:
    if isinstance(node, Scalar) and node.boolean:
        return node.text.lower() == "true"
    quoted = isinstance(node, Scalar) and attrs.evolve(node, plain=True).boolean
    raise _expected("true or false", node, "; leave out the quotes" if quoted else "")


def _number(node: Any, limits: Range | None, kind: type[int] | type[float]) -> float:
    words = "a whole number" if kind is int else "a number"
    what = f"{words} {limits}" if limits else words
    if not isinstance(node, Scalar):
        raise _expected(what, node)
    if not (node.whole if kind is int else node.number):
        bare = attrs.evolve(node, plain=True)
        quoted = not node.plain and (bare.whole if kind is int else bare.number)
        raise _expected(what, node, "; leave out the quotes" if quoted else "")
    # Through float, which has no limit on the number of digits; inf is above all limits.
    size = float(node.text)
    if limits and limits.most is not None and size > limits.most:
        raise _expected(f"{words} of at most {limits.most:.0f}", node)
    if limits and not limits.admits(size):
        raise _expected(what, node)
    return kind(node.text)


def _annotated(kind: Any) -> Hook:
    number, limits = get_args(kind)
    return lambda node, _: _number(node, limits, number)


def choice_word(choice: object) -> str:
    """One of the values that a key takes, as people write it."""
    return choice if isinstance(choice, str) else str(choice).lower()


def _choice(kind: Any) -> Hook:
    choices = cast("tuple[str | bool, ...]", get_args(kind))
    words = [choice_word(choice) for choice in choices]

    def hook(node: Any, _: Any) -> str | bool:
        if isinstance(node, Scalar):
            given = _boolean(node) if node.boolean else node.text
            if given in choices:
                return given
        hint = nearest(node.text, words) if isinstance(node, Scalar) else ""
        raise _expected(f"one of {', '.join(words)}", node, hint)

    return hook


def _listing(converter: cattrs.Converter, kind: Any) -> Hook:
    item_type = get_args(kind)[0]

    def hook(node: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(node, Listing):
            raise _expected("a list", node)
        return tuple(_each(converter, ((item, item_type) for item in node)))

    return hook


def _names(converter: cattrs.Converter, kind: Any) -> Hook:
    value_type = get_args(kind)[1]
    # Headers and variables of a person's choice: each of them may be a key.
    secret = value_type is str

    def hook(node: Any, _: Any) -> dict[str, Any]:
        if not isinstance(node, Branch):
            raise _expected("a mapping of names", node)
        of_type = Secret if secret else value_type
        values = _each(converter, ((value, of_type) for value in node.values()))
        if secret:
            values = [value.reveal() for value in values]
        return dict(zip(node, values, strict=True))

    return hook


def _each(converter: cattrs.Converter, items: Iterable[tuple[Any, Any]]) -> list[Any]:
    values: list[Any] = []
    errors: list[Exception] = []
    for node, kind in items:
        try:
            values.append(converter.structure(node, kind))
        except (Wrong, ExceptionGroup) as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("wrong values", errors)
    return values


def _keys(converter: cattrs.Converter, cls: Any) -> Hook:
    @cache
    def made() -> tuple[Hook, Mapping[str, object]]:
        """Of sections that somebody has written; a start has a few of fifty."""
        return cast("Hook", make_dict_structure_fn(cls, converter)), keys_of(cls)

    def hook(node: Any, kind: Any) -> Any:
        plain, known = made()
        if not isinstance(node, Branch):
            raise _expected(f"keys like {next(iter(known))}", node)
        for name in node:
            if name not in known:
                where = node.keys_at[name]
                path = child(node.path, name)
                hint = nearest(name, known)
                problem = Problem(where, path, f"unknown key{hint}")
                _READING.get().warnings.append(problem)
        said = {
            name: value
            for name, value in node.items()
            if name in known and not (isinstance(value, Scalar) and value.null)
        }
        return plain(said, kind)

    return hook
