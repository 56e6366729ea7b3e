"""For every test: the outside programs, what is tried, the snippets of README and docs."""

import gc
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Where the library is tried alone there is no node, and no contract of its events.
_OF_A_NODE = ["tests.support.contract"] if find_spec("beamclaw") else []
pytest_plugins = ["tests.peers.plugin", *_OF_A_NODE]

# No example has a time: the machine's is no property of ours. `just check` takes *fast*,
# a fifth of the examples; `just test` has them all. A test that needs more or fewer than
# a hundred says so with `tests.support.examples.examples`.
ANY_TIME: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("whole", max_examples=100, **ANY_TIME)
settings.register_profile("fast", max_examples=20, **ANY_TIME)
settings.load_profile("whole")


def pytest_collection() -> None:
    """What is collected stays: to look for garbage in it is a fifth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor is it looked through with each test's own."""
    gc.freeze()
    gc.enable()


_second_frame = SybilItem._traceback_filter  # noqa: SLF001


def _readable(self: SybilItem, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Sybil 10.1 looks for the second frame of every exception in the chain.

    What another one was raised from often has a single frame, and then an `IndexError`
    would end the whole run instead of the one snippet.
    """
    try:
        return _second_frame(self, excinfo)
    except IndexError:
        return excinfo.traceback


SybilItem._traceback_filter = _readable  # noqa: SLF001

# A ```python block runs; a ```console block is read by people. Blocks of one page share
# their names, from top to bottom.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
    excludes=["docs/_build/**"],
).pytest()
