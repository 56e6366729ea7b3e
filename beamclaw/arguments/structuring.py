"""What a model has written, as the values a tool wants; or in words what is wrong with it.

By cattrs, with hooks that take a thing only for what it is: nothing is made of a text but
a text. All faults are found at once, each with its place, so that the model needs one
attempt more and no second.
"""

import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    list_structure_factory,
    mapping_structure_factory,  # pyright: ignore[reportUnknownVariableType] -- theirs
)
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from beamclaw.arguments.schema import Length, Null, camel, fields_of
from beamclaw.config.schema import Range
from beamclaw.config.structure import nearest

Hook = Callable[[Any, Any], Any]

_SHOWN = 60


class Arguments(ExceptionGroup[Exception]):
    """Everything that is wrong with some arguments."""


class Unfit(ValueError):  # noqa: N818 -- a situation
    """Something is not what it has to be; in words.

    Attributes:
        faults: Of a whole: each place (empty: itself) and what is wrong there.
    """

    faults: tuple[tuple[str, str], ...] = ()


def structure(given: Any, cls: type[Any], *, strict: bool = False) -> Any:
    """A *cls*, an attrs class, of what a model has given.

    Args:
        given: What was read from its JSON.
        cls: The class; its fields are named in camel case there.
        strict: For programs, which can be told once: a field has one name, and null
            is a value like others, taken where the type says so (:class:`Null`).

    Raises:
        Unfit: It does not fit; one line for each fault, with its place.
    """
    try:
        return _converter(strict=strict).structure(given, cls)
    except (Unfit, ExceptionGroup) as error:
        faults = tuple(_faults(error))
        lines = [
            f"- {place}: {words}" if place else f"- {words}" for place, words in faults
        ]
        unfit = Unfit("\n".join(lines))
        unfit.faults = faults
        raise unfit from None


def _faults(error: BaseException, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from _faults(inner, place + _step(inner))
    elif isinstance(error, Unfit):
        yield place.removeprefix("."), str(error)
    else:  # not about what the model wrote: a fault of the tool's types
        raise error


def _step(error: BaseException) -> str:
    """How one gets from a thing to the part of it that *error* is about."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{camel(note.name)}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index!r}]"
    return ""


@functools.cache
def _converter(*, strict: bool) -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=True)
    made.register_structure_hook(str, lambda given, _: _text(given))
    made.register_structure_hook(bool, lambda given, _: _flag(given))
    made.register_structure_hook(int, lambda given, _: _number(given, None, int))
    made.register_structure_hook(float, lambda given, _: _number(given, None, float))
    table: tuple[tuple[tuple[Any, ...], Callable[[Any], Hook]], ...] = (
        ((Annotated,), lambda kind: _annotated(made, kind)),
        ((Literal,), _choice),
        ((Union, types.UnionType), lambda kind: _union(made, kind)),
        ((list, tuple, Sequence), lambda kind: _listing(made, kind)),
        ((dict, Mapping), lambda kind: _mapping(made, kind)),
    )
    for origins, factory in table:
        made.register_structure_hook_factory(_has_origin(origins), factory)
    objects: Callable[[Any], Hook] = functools.partial(_object, made, strict=strict)
    made.register_structure_hook_factory(attrs.has, objects)
    return made


def _has_origin(origins: tuple[Any, ...]) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) in origins


def _expected(what: str, given: Any, hint: str = "") -> Unfit:
    return Unfit(f"expected {what}, found {_shown(given)}{hint}")


def _shown(given: Any) -> str:
    """What was found, in words; never much of it."""
    match given:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[given]
        case int() | float():
            return f"the number {given}"[:_SHOWN]
        case str():
            text = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
            return f"the text {text!r}"
        case list():
            return "a list"
        case _:
            return "an object"


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise _expected("a text", given)
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise _expected("true or false", given)
    return given


def _number(given: Any, limits: Range | None, kind: type[int] | type[float]) -> float:
    words = "a whole number" if kind is int else "a number"
    what = f"{words} {limits}" if limits else words
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _expected(what, given)
    if kind is int and given != given // 1:  # also what is no number, and endless ones
        raise _expected(what, given)
    if limits and not limits.admits(given):
        raise _expected(what, given)
    return kind(given)


def _annotated(converter: cattrs.Converter, kind: Any) -> Hook:
    inner, *notes = get_args(kind)
    limits = next((note for note in notes if isinstance(note, Range)), None)
    length = next((note for note in notes if isinstance(note, Length)), None)
    hook = converter.get_structure_hook(inner)
    if limits is not None and inner in (int, float):
        return lambda given, _: _number(given, limits, inner)
    if length is None:
        return lambda given, _: hook(given, inner)
    return lambda given, _: hook(_of_length(given, length), inner)


def _of_length(given: Any, length: Length) -> Any:
    if isinstance(given, str | list):
        size = len(cast("str | list[Any]", given))
        if size < length.least:
            raise Unfit(f"expected a length of at least {length.least}, found {size}")
        if length.most is not None and size > length.most:
            raise Unfit(f"expected a length of at most {length.most}, found {size}")
    return cast("Any", given)


def _choice(kind: Any) -> Hook:
    choices = cast("tuple[str, ...]", get_args(kind))

    def hook(given: Any, _: Any) -> str:
        if given in choices:
            return given
        hint = nearest(given, choices) if isinstance(given, str) else ""
        raise _expected(f"one of {', '.join(choices)}", given, hint)

    return hook


def _union(converter: cattrs.Converter, kind: Any) -> Hook:
    """Whichever fits first; with only one that is something, what is wrong with that."""
    members = [each for each in get_args(kind) if each is not type(None)]
    hooks = [(each, converter.get_structure_hook(each)) for each in members]
    may_be_null = len(members) < len(get_args(kind))

    def hook(given: Any, _: Any) -> Any:
        if given is None and may_be_null:
            return None
        faults: list[Exception] = []
        for each, structured in hooks:
            try:
                return structured(given, each)
            except (Unfit, ExceptionGroup) as error:
                faults.append(error)
        if len(faults) == 1:
            raise faults[0]
        words = [words for fault in faults for _, words in _faults(fault)]
        raise Unfit("; or ".join(words))

    return hook


def _listing(converter: cattrs.Converter, kind: Any) -> Hook:
    if get_origin(kind) is tuple:
        inner = homogenous_tuple_structure_factory(kind, converter)
    else:
        inner = list_structure_factory(kind, converter)

    def hook(given: Any, _: Any) -> Any:
        if not isinstance(given, list):
            raise _expected("a list", given)
        return inner(cast("Any", given), kind)

    return hook


def _mapping(converter: cattrs.Converter, kind: Any) -> Hook:
    inner = mapping_structure_factory(kind, converter)

    def hook(given: Any, _: Any) -> Any:
        if not isinstance(given, dict):
            raise _expected("an object", given)
        return inner(cast("Any", given), kind)

    return hook


def _object(converter: cattrs.Converter, cls: Any, *, strict: bool) -> Hook:
    fields = fields_of(cls)
    plain = cast("Hook", make_dict_structure_fn(cls, converter))
    known = {name: field.name for name, field in fields.items()}
    if not strict:
        # As the model is told, and as it stands in the source: some prefer that.
        known |= {field.name: field.name for field in fields.values()}

    def hook(given: Any, kind: Any) -> Any:
        if not isinstance(given, dict):
            raise _expected("an object", given)
        said: dict[str, Any] = {}
        faults: list[Exception] = []
        for key, value in cast("dict[str, Any]", given).items():
            name = known.get(key)
            if name is None:
                there = ", ".join(fields) or "no arguments"
                hint = nearest(key, fields) or f"; there are: {there}"
                faults.append(Unfit(f"there is no {_quoted(key)} here{hint}"))
            elif name in said:
                faults.append(Unfit(f"{_quoted(camel(name))} is given twice"))
            else:
                said[name] = value
        faults += _left_out(fields, said, strict=strict)
        return _structured(plain, said, kind, faults)

    return hook


def _left_out(
    fields: Mapping[str, "attrs.Attribute[Any]"], said: dict[str, Any], *, strict: bool
) -> Iterator[Exception]:
    """What is missing; what stands for nothing is taken out of *said*."""
    for name, field in fields.items():
        if field.default is attrs.NOTHING:
            if field.name not in said:
                yield Unfit(f"{_quoted(name)} is missing")
        elif said.get(field.name, ...) is None:
            if not strict:
                del said[field.name]  # many models write null for what they leave out
            elif not _may_be_null(field):
                yield Unfit(f"{_quoted(name)} is null; leave it out instead")


def _may_be_null(field: "attrs.Attribute[Any]") -> bool:
    notes = get_args(field.type)[1:] if get_origin(field.type) is Annotated else ()
    return field.type is Any or any(isinstance(note, Null) for note in notes)


def _structured(
    plain: Hook, said: dict[str, Any], kind: Any, faults: list[Exception]
) -> Any:
    try:
        value = plain(said, kind)
    except ExceptionGroup as error:
        # What is missing was said above already, in better words.
        _, rest = error.split(KeyError)
        if rest is not None:
            faults.append(rest)
    else:
        if not faults:
            return value
    raise Arguments("they do not fit", faults)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
