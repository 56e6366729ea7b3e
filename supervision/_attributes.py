"""The attributes of a behaviour: its state, as `supervision.sys` shows and replaces it."""

from __future__ import annotations

from collections.abc import Mapping

from .abc import Behaviour


def attributes(behaviour: Behaviour) -> dict[str, object]:
    """The attributes of *behaviour*, in slots or not, without what the runtime keeps."""
    names: list[str] = list(getattr(behaviour, "__dict__", ()))
    for base in type(behaviour).__mro__:
        if base.__module__ != Behaviour.__module__:
            slots: str | tuple[str, ...] = base.__dict__.get("__slots__", ())
            names.extend([slots] if isinstance(slots, str) else slots)
    return {
        name: getattr(behaviour, name)
        for name in names
        if not name.startswith("__") and hasattr(behaviour, name)
    }


def replace_attributes(behaviour: Behaviour, wanted: Mapping[str, object]) -> None:
    """Replace the attributes of *behaviour*, all of them or none."""
    before = attributes(behaviour)
    try:
        _assign(behaviour, wanted)
    except BaseException:
        _assign(behaviour, before)
        raise


def _assign(behaviour: Behaviour, wanted: Mapping[str, object]) -> None:
    for name in attributes(behaviour).keys() - wanted.keys():
        delattr(behaviour, name)
    for name, value in wanted.items():
        setattr(behaviour, name, value)
