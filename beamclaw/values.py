"""Values: :func:`attrs.frozen`, at half its price.

For each class attrs writes, and Python compiles, a program of its own for ``__init__``,
``__eq__``, ``__hash__`` and ``__repr__``. A node has eight hundred classes of values, and
most of what that costs at a start is for methods that few of them ever run. Here all
share one of each but ``__init__``; :mod:`tests.benchmarks.bench_start` has the figures.
"""

import functools
import operator
import reprlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, dataclass_transform, overload

import attrs

_C = TypeVar("_C", bound=type[Any])


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
        for name, method in shared.items():
            if name not in own:
                setattr(cls, name, method)
        # None: attrs writes what the class has not; True would write it all the same.
        written = None if eq else False
        return attrs.frozen(kw_only=kw_only, eq=written, slots=slots)(cls)

    return made if maybe_cls is None else made(maybe_cls)


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
