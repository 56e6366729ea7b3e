"""Values are what :func:`attrs.frozen` makes, with shared methods, and later."""

import copy
import functools
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import weakref
from typing import Any, ClassVar, Generic, TypeVar

import attrs
import pytest

from beamclaw import values
from tests.support.node import ROOT

T = TypeVar("T")


def made(decorate: Any) -> dict[str, type[Any]]:
    """The same classes, by attrs and by us."""

    @decorate
    class Empty:
        pass

    @decorate
    class One:
        at: int

    @decorate(kw_only=True)
    class Many:
        name: str
        secret: str = attrs.field(default="hidden", repr=False)
        short: str = attrs.field(default="long", repr=lambda text: text[:1])
        seen: float | None = attrs.field(default=None, eq=False)
        loose: int = attrs.field(default=0, hash=False)

    @decorate
    class More(One):
        to: int = 2

    @decorate(eq=False)
    class Self:
        at: int

    @decorate
    class Own:
        at: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self))

        __hash__ = None  # type: ignore[assignment]

    @decorate
    class Failed(Exception):
        at: int

    found = [Empty, One, Many, More, Self, Own, Failed]
    return {cls.__name__: cls for cls in found}


OURS, THEIRS = made(values.frozen), made(attrs.frozen)
ASKED: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("Empty", {}, {}),
    ("One", {"at": 1}, {"at": 1}),
    ("One", {"at": 1}, {"at": 2}),
    ("Many", {"name": "a"}, {"name": "a", "seen": 4.0}),
    ("Many", {"name": "a"}, {"name": "a", "secret": "b"}),
    ("Many", {"name": "a"}, {"name": "a", "loose": 1}),
    ("More", {"at": 1}, {"at": 1, "to": 3}),
    ("More", {"at": 1}, {"at": 1}),
    ("Self", {"at": 1}, {"at": 1}),
    ("Own", {"at": 1}, {"at": 2}),
    ("Failed", {"at": 1}, {"at": 1}),
]


def told(cls: type[Any], one: dict[str, object], two: dict[str, object]) -> object:
    """All that can be seen of two values."""
    first, second = cls(**one), cls(**two)
    hashed = None
    if cls.__hash__ is not None:
        hashed = (hash(first) == hash(cls(**one)), hash(first) == hash(second))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.at = 5
    return repr(first), first == second, first == 5, first != second, hashed


@pytest.mark.parametrize(("name", "one", "two"), ASKED)
def test_a_value_is_what_attrs_makes(
    name: str, one: dict[str, object], two: dict[str, object]
) -> None:
    assert told(OURS[name], one, two) == told(THEIRS[name], one, two)


def test_a_value_of_another_class_is_another() -> None:
    one, more = OURS["One"](1), OURS["More"](1)
    assert one != more
    assert len({one, more, OURS["One"](1)}) == 2


def test_a_value_that_holds_itself_can_be_shown() -> None:
    held: list[object] = []
    one = OURS["One"](held)
    held.append(one)
    assert repr(one) == "One(at=[...])"


def test_no_class_of_values_pays_for_methods_of_its_own() -> None:
    ours = OURS["One"]
    assert ours.__eq__ is OURS["Many"].__eq__
    assert ours.__repr__ is OURS["Many"].__repr__
    assert ours.__hash__ is OURS["Many"].__hash__


# --- what is made when it is first used


class Box(Generic[T]):
    """A base without fields."""

    __slots__ = ()


def attrs_knows(cls: type[Any]) -> bool:
    return isinstance(vars(cls)["__attrs_attrs__"], tuple)


def test_attrs_is_asked_when_the_first_value_is_made() -> None:
    @values.frozen
    class Late:
        at: int

    assert not attrs_knows(Late)
    assert Late(1).at == 1
    assert attrs_knows(Late)
    assert "__init__" in repr(Late.__init__)


def test_attrs_is_asked_when_somebody_looks_at_the_fields() -> None:
    @values.frozen
    class Late:
        at: int
        to: list[int] = attrs.field(factory=list[int])

    assert attrs.has(Late)
    assert [field.name for field in attrs.fields(Late)] == ["at", "to"]
    assert attrs_knows(Late)


def test_many_threads_make_the_first_value_at_once() -> None:
    for _ in range(50):

        @values.frozen
        class Late:
            at: int

        made: list[Any] = []
        gate = threading.Barrier(4)

        def make(cls: Any = Late, gate: Any = gate, made: Any = made) -> None:
            gate.wait()
            made.append(cls(1))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert made == [Late(1)] * 4


def everything(decorate: Any) -> list[object]:  # noqa: C901 -- a list of things
    """A class with all that a class may have, and what is seen of it."""

    @decorate
    class Whole(Box[int]):
        shared: ClassVar[list[int]] = []
        at: int
        to: int = attrs.field(default=2, converter=int, alias="until")
        _own: str = "x"
        total: int = attrs.field(init=False, repr=False)
        more: list[int] = attrs.field(factory=list[int], kw_only=True)

        @total.default  # type: ignore[attr-defined]
        def _(self) -> int:
            return self.at + self.to

        @to.validator  # type: ignore[attr-defined]
        def _(self, _: object, value: int) -> None:
            if value > 9:
                raise ValueError("too much")

        def __attrs_post_init__(self) -> None:
            self.shared.append(self.at)

        def me(self) -> type[Any]:
            return __class__

        @classmethod
        def named(cls) -> str:
            return __class__.__name__

        @property
        def mine(self) -> bool:
            return isinstance(self, __class__)

    one = Whole(1, until="3", own="y", more=[4])
    seen: list[object] = [repr(one), one.total, one.shared, one.mine, Whole.named()]
    seen += [one.me() is Whole, Whole.__match_args__, sorted(Whole.__slots__)]
    seen += [attrs.asdict(one), attrs.evolve(one, at=5), hasattr(one, "__dict__")]
    seen += [
        copy.copy(one) == one,
        copy.deepcopy(one) == one,
        weakref.ref(one)() is one,
    ]
    seen += [Whole.__qualname__, Whole.__module__, Whole.__orig_bases__]
    match one:
        case Whole(at, to, own):
            seen += [at, to, own]
    for wrong in (
        Whole,
        lambda: Whole(1, 2, 3, 4),
        lambda: Whole(1, 10),
        lambda: Whole(1, to=1),
        lambda: delattr(one, "at"),
    ):
        try:
            wrong()
        except (TypeError, ValueError, AttributeError) as error:
            seen.append((type(error), str(error)))
    return [each if isinstance(each, bool) else str(each) for each in seen]


def test_a_class_with_everything_is_what_attrs_makes() -> None:
    ours, theirs = everything(values.frozen), everything(attrs.frozen)
    assert ours == theirs
    assert len(ours) == 25


@values.frozen
class Kept:
    """Found by its name, as what is pickled has to be."""

    at: int
    to: str = "x"


def test_a_value_goes_into_another_process() -> None:
    assert pickle.loads(pickle.dumps(Kept(1))) == Kept(1)


def test_what_attrs_has_to_see_at_once_it_sees_at_once() -> None:
    @values.frozen
    class Cached:
        at: int

        @functools.cached_property
        def twice(self) -> int:
            return self.at * 2

    assert attrs_knows(Cached)
    assert Cached(2).twice == 4


# Each class of the node, as it is seen from outside.
DESCRIBED = """
import importlib, inspect, json, pkgutil, sys
import attrs
from beamclaw import values

if sys.argv[1] == "attrs":
    values._is_plain = lambda cls: False
import beamclaw

late = {}
for found in pkgutil.walk_packages(beamclaw.__path__, "beamclaw."):
    if not found.name.endswith("__main__"):
        module = importlib.import_module(found.name)
        for name, cls in vars(module).items():
            if isinstance(cls, type) and cls.__module__ == found.name:
                late[f"{found.name}.{name}"] = cls
seen = {}
for name, cls in late.items():
    if attrs.has(cls):
        seen[name] = [
            [str(field) for field in attrs.fields(cls)],
            str(inspect.signature(cls.__init__)),
            list(cls.__match_args__),
            sorted(vars(cls).get("__slots__", [])),
            sorted(
                name for name in vars(cls)
                if name not in ("__attrs_own_setattr__", "__static_attributes__")
            ),
        ]
print(json.dumps(seen))
"""


def described(how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBED, how],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    return json.loads(re.sub(" at 0x[0-9a-f]+", "", done.stdout))


@pytest.mark.slow
def test_every_class_of_the_node_is_what_attrs_makes() -> None:
    ours, theirs = described("ours"), described("attrs")
    assert ours.keys() == theirs.keys()
    different = {
        name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]
    }
    assert different == {}
    assert len(ours) > 700


@values.frozen
class Plain:
    """Fields, and nothing that has to be done when one is made."""

    at: int
    to: str = "x"
    more: tuple[int, ...] = ()


@values.frozen
class Converted:
    """What it is made of is not what it holds."""

    at: int = attrs.field(converter=int)
    to: str = "x"


def test_a_changed_value_is_another_one() -> None:
    one = Plain(1, more=(2,))
    other = values.evolve(one, to="y")
    assert other == attrs.evolve(one, to="y") == Plain(1, "y", (2,))
    assert one == Plain(1, more=(2,))
    assert values.evolve(one) is not one
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        other.at = 3  # type: ignore[misc]


def test_what_is_changed_to_is_converted() -> None:
    assert values.evolve(Converted(1), at="2") == Converted(2)


@pytest.mark.parametrize("one", [Plain(1), Converted(1)])
def test_there_is_nothing_to_change_by_another_name(one: Any) -> None:
    with pytest.raises(TypeError, match="other"):
        values.evolve(one, other=1)
