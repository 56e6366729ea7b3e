"""Values: :func:`attrs.frozen` and :func:`attrs.evolve`, at a part of their price.

For each class attrs writes, and Python compiles, a program of its own for ``__init__``,
``__eq__``, ``__hash__`` and ``__repr__``. A node has eight hundred classes of values, which
is more than half of what its imports cost at a start; most of them are not used before
it listens, and many never. Here all share one of each method but ``__init__``, and that one,
with all that attrs knows of the fields, is made when the class is first used.
:mod:`tests.benchmarks.bench_start` has the figures.
"""

import functools
import operator
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CellType
from typing import (
    Any,
    Final,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
    overload,
)

import attrs

_C = TypeVar("_C", bound=type[Any])
T = TypeVar("T")


@overload
def frozen(
    maybe_cls: None = None,
    /,
    *,
    kw_only: bool = False,
    eq: bool = True,
    slots: bool = True,
) -> Callable[[_C], _C]: ...


@overload
def frozen(maybe_cls: _C, /) -> _C: ...


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def frozen(
    maybe_cls: _C | None = None,
    /,
    *,
    kw_only: bool = False,
    eq: bool = True,
    slots: bool = True,
) -> _C | Callable[[_C], _C]:
    """Make a class one of values, which are equal when their fields are.

    The arguments mean what they mean for :func:`attrs.frozen`; so do what fields say
    of `eq`, `hash` and `repr`, and the methods that a class writes itself.
    """

    def made(cls: _C) -> _C:
        own = vars(cls)
        shared: dict[str, object] = {"__repr__": _repr}
        if eq and "__eq__" not in own and not issubclass(cls, BaseException):
            shared |= {"__eq__": _eq, "__hash__": _hash}
        shared = {name: each for name, each in shared.items() if name not in own}
        if slots and _is_plain(cls):
            return cast("_C", _later(cls, shared, kw_only=kw_only))
        for name, method in shared.items():
            setattr(cls, name, method)
        # None: attrs writes what the class has not; True would write it all the same.
        written = None if eq else False
        return attrs.frozen(kw_only=kw_only, eq=written, slots=slots)(cls)

    return made if maybe_cls is None else made(maybe_cls)


def evolve(value: T, **changes: Any) -> T:
    """A value like *value*, but for *changes*, by the names of its fields.

    :func:`attrs.evolve`, which makes it as if for the first time, takes ten
    microseconds for a value of 46 fields, and this one half of that: it copies. It is
    for what changes often.

    Raises:
        TypeError: There is no such field.
    """
    cls = value.__class__
    known = _copied(cls)
    if known is None:
        return cast("T", attrs.evolve(cast("Any", value), **changes))
    parts, setters = known
    copy = object.__new__(cls)
    for put, part in zip(setters.values(), parts(value), strict=True):
        put(copy, part)
    for name, part in changes.items():
        if name not in setters:
            raise TypeError(f"{cls.__qualname__} has no field {name!r}")
        setters[name](copy, part)
    return copy


_Copied: TypeAlias = tuple[
    Callable[[Any], tuple[Any, ...]], dict[str, Callable[[Any, Any], None]]
]


@functools.cache
def _copied(cls: type[Any]) -> _Copied | None:
    """How fields are read together and written one by one; None: it is not that easy."""
    fields: tuple[Any, ...] = attrs.fields(cls)
    if (
        len(fields) < _FEW
        or hasattr(cls, "__attrs_post_init__")
        or any(each.converter or each.validator or not each.init for each in fields)
        or not all(hasattr(getattr(cls, each.name, None), "__set__") for each in fields)
    ):
        return None
    names = [each.name for each in fields]
    parts = operator.attrgetter(*names)
    return parts, {name: getattr(cls, name).__set__ for name in names}


# Of one field attrgetter makes no tuple.
_FEW: Final = 2


# --- later

_FIELD: Final = cast("type[Any]", type(attrs.field()))
_CLASS_WIDE: Final = ("ClassVar", "typing.ClassVar")
# What changes how attrs makes a class; those that have it are made by attrs at once.
_SPECIAL: Final = ("__init__", "__slots__", "__match_args__", "__getstate__")


@attrs.frozen
class _Any:
    """Any class that attrs has frozen: what they all share is taken from it."""


_FROZEN: Final = {name: vars(_Any)[name] for name in ("__setattr__", "__delattr__")}
# How attrs makes those that nobody has used: the fields as they were written.
_unused: dict[type[Any], Callable[[], type[Any]]] = {}


def _is_plain(cls: type[Any]) -> bool:
    """Whether nothing in it has to be made before the class is used."""
    own = vars(cls)
    fields = dict(_fields(cls))
    return (
        not any(name in own for name in _SPECIAL)
        and not any(hasattr(base, "__attrs_attrs__") for base in cls.__bases__)
        and not any(_slots(base) & fields.keys() for base in cls.__mro__[1:])
        and not issubclass(cls, BaseException)
        and not any(
            isinstance(each, functools.cached_property) for each in own.values()
        )
        and all(name in fields for name in own if type(own[name]) is _FIELD)
    )


def _slots(cls: type[Any]) -> set[str]:
    return set(vars(cls).get("__slots__", ()))


def _fields(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """The name of each field, and what stands behind it."""
    own = vars(cls)
    for name, hint in own.get("__annotations__", {}).items():
        if not str(hint).strip("'\"").startswith(_CLASS_WIDE):
            yield name, own.get(name, attrs.NOTHING)


def _later(cls: type[Any], shared: Mapping[str, object], *, kw_only: bool) -> type[Any]:
    """The class with slots, which attrs ends when it is first used."""
    fields = dict(_fields(cls))
    has_ref = any("__weakref__" in vars(base) for base in cls.__mro__[1:])
    given = {
        name: each
        for name, each in vars(cls).items()
        if name not in (*fields, "__dict__", "__weakref__")
    }
    own: dict[str, Any] = {
        **given,
        **shared,
        **_FROZEN,
        "__slots__": tuple(fields) if has_ref else (*fields, "__weakref__"),
        "__match_args__": () if kw_only else tuple(_positional(fields)),
        "__qualname__": cls.__qualname__,
        "__getstate__": _state,
        "__setstate__": _set_state,
        "__attrs_attrs__": _Unmade(),
        "__attrs_props__": _Unmade(),
    }
    meta: Any = type(cls)
    made: Any = meta(cls.__name__, cls.__bases__, own)

    def first_init(self: Any, *args: Any, **kwargs: Any) -> None:
        _make(made)
        made.__init__(self, *args, **kwargs)

    made.__init__ = first_init
    for cell in _cells(given.values()):
        if cell.cell_contents is cls:
            cell.cell_contents = made
    _unused[made] = functools.partial(_by_attrs, made, fields, kw_only=kw_only)
    return made


def _positional(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, each in fields.items():
        if type(each) is not _FIELD or (each.init and not each.kw_only):
            yield name


def _cells(methods: Iterable[Any]) -> Iterator[CellType]:
    """Where methods hold the class that they name, by ``super()`` or ``__class__``."""
    for each in methods:
        function = getattr(each, "__func__", getattr(each, "fget", each))
        for cell in getattr(function, "__closure__", None) or ():
            try:
                cell.cell_contents  # noqa: B018 -- fails while it is empty
            except ValueError:
                continue
            yield cell


def _by_attrs(cls: type[Any], fields: Mapping[str, Any], *, kw_only: bool) -> type[Any]:
    """A class with these fields, by attrs, of which only what it wrote is kept."""
    own = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__annotations__": {
            name: vars(cls)["__annotations__"][name] for name in fields
        },
        **{name: each for name, each in fields.items() if each is not attrs.NOTHING},
        **{
            name: getattr(cls, name)
            for name in ("__attrs_pre_init__", "__attrs_post_init__")
            if hasattr(cls, name)
        },
    }
    # None of its bases has fields; and nobody has to find it below one of them.
    bare = type(cls.__name__, (), own)
    return attrs.frozen(kw_only=kw_only, eq=False, repr=False)(bare)


class _Unmade:
    """Stands for what attrs knows of a class, until somebody asks."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        _make(self._owner)
        return vars(self._owner)[self._name]


def _make(cls: type[Any]) -> None:
    """Let attrs end the class; two threads at once do the same, and need no lock."""
    by_attrs = _unused.get(cls)
    if by_attrs is not None:
        made = by_attrs()
        cls.__attrs_attrs__ = made.__attrs_attrs__
        cls.__attrs_props__ = vars(made).get("__attrs_props__")
        cls.__init__ = made.__init__
        _unused.pop(cls, None)


def _state(self: Any) -> dict[str, object]:
    return {
        each.name: getattr(self, each.name) for each in attrs.fields(self.__class__)
    }


def _set_state(self: Any, state: Mapping[str, object]) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value)


# --- shared


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    cls: type[Any] = self.__class__
    fields = ", ".join(
        f"{field.name}={(field.repr if callable(field.repr) else repr)(value)}"
        for field in attrs.fields(cls)
        if field.repr
        for value in [getattr(self, field.name)]
    )
    return f"{cls.__qualname__.rpartition('>.')[2]}({fields})"


def _eq(self: Any, other: Any) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    parts = _parts_of(self.__class__)
    return parts(self) == parts(other)


def _hash(self: Any) -> int:
    return hash((self.__class__, _hashed_of(self.__class__)(self)))


@functools.cache
def _parts_of(cls: type[Any]) -> Callable[[Any], object]:
    return _getter(field.name for field in attrs.fields(cls) if field.eq)


@functools.cache
def _hashed_of(cls: type[Any]) -> Callable[[Any], object]:
    return _getter(
        field.name
        for field in attrs.fields(cls)
        if (field.eq if field.hash is None else field.hash)
    )


def _getter(names: Iterable[str]) -> Callable[[Any], object]:
    known = tuple(names)
    return operator.attrgetter(*known) if known else _nothing


def _nothing(_: object) -> None:
    return None
