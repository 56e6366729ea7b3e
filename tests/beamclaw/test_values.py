"""Values are what :func:`attrs.frozen` makes, with shared methods."""

from typing import Any

import attrs
import pytest

from beamclaw import values


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
