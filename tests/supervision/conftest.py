"""For every test of `supervision`: crashes are recorded, and nothing may be left."""

from collections.abc import Generator

import pytest

from supervision import _life
from supervision.testing import Leaks, Recorder, assert_no_leaks

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    if call.excinfo is not None:
        item.stash[_failed] = True
    return (yield)


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Generator[Leaks]:
    """Fail the test if it leaves a process, name, timer, task, memory … behind."""
    with assert_no_leaks() as leaks:
        yield leaks
        # A test that failed keeps its frames, and has failed already.
        leaks.ignore = leaks.ignore or _failed in request.node.stash


@pytest.fixture(autouse=True)
def events(leaks: Leaks) -> Generator[Recorder]:
    with Recorder.attached() as recorder:
        yield recorder
    # The reason of a crash has its traceback, and that everything.
    recorder.events.clear()


@pytest.fixture(params=["spliced", "eager"])
def scopes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with scopes spliced in at exit, and with a scope per process."""
    monkeypatch.setattr(_life, "EAGER_SCOPES", request.param == "eager")
    return request.param
