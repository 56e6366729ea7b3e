"""The facade of `supervision`: complete, documented, and nothing by accident."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import supervision
import supervision.abc
import supervision.testing

ROOT = Path(__file__).parents[2]
FACADES = [supervision, supervision.abc, supervision.testing]
PAGE = ROOT / "docs" / "reference" / "supervision.md"

exported = pytest.mark.parametrize(
    "facade, name",
    [(facade, name) for facade in FACADES for name in facade.__all__],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)


@exported
def test_a_public_name_has_a_docstring(facade: ModuleType, name: str):
    value = getattr(facade, name)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        assert (inspect.getdoc(value) or "").strip(), f"{name} says nothing"


@exported
def test_a_public_name_is_on_the_reference_page(facade: ModuleType, name: str):
    page = PAGE.read_text()
    entry = rf"^\.\. (auto\w+|py:(type|data|class)):: {name}(\(.*)?$"
    assert re.search(entry, page, re.MULTILINE), (
        f"{name} is not in {PAGE.relative_to(ROOT)}"
    )


def test_what_the_facade_imports_it_exports():
    public = {
        name
        for name, value in vars(supervision).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public <= set(supervision.__all__)
    assert len(set(supervision.__all__)) == len(supervision.__all__)


def test_what_a_public_function_raises_or_takes_can_be_imported():
    """A class of ours in a public signature is public, too."""
    hidden = set()
    ours = {
        name: value
        for module in pkgutil.iter_modules(supervision.__path__, "supervision.")
        for name, value in vars(importlib.import_module(module.name)).items()
        if inspect.isclass(value) and value.__module__.startswith("supervision._")
    }
    public = set(supervision.__all__) | set(supervision.abc.__all__)
    for name in supervision.__all__:
        value = getattr(supervision, name)
        if inspect.isroutine(value):
            mentioned = re.findall(r"\b[A-Z]\w+", str(inspect.signature(value)))
            hidden |= {(name, word) for word in mentioned if word in ours} - {
                (name, word) for word in mentioned if word in public
            }
    assert not hidden
