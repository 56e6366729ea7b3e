"""For every test of `supervision`: crashes are recorded, and nothing may be left."""

import gc
from collections.abc import Generator

import pytest

from supervision import _life
from supervision.testing import Recorder
from tests.supervision.leaks import Watch, still_in_memory

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    if call.excinfo is not None:
        item.stash[_failed] = True
    return (yield)


@pytest.fixture(autouse=True)
def leaks(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Generator[Watch]:
    """Fail the test if it leaves a process, name, timer, task, home … behind.

    What exists before the test is frozen, so that looking for what is left costs only
    what the test itself has made.
    """
    gc.freeze()
    try:
        watch = Watch()
        watch.install(monkeypatch)
        yield watch
        faults = watch.faults()
        # A test that failed keeps its frames, and has failed already.
        if _failed in request.node.stash:
            return
        if not (watch.abandons or watch.keeps_crashes):
            faults += still_in_memory()
        assert not faults, "\n".join(faults)
    finally:
        gc.unfreeze()


@pytest.fixture(autouse=True)
def events(leaks: Watch) -> Generator[Recorder]:
    with Recorder.attached() as recorder:
        yield recorder
    # The reason of a crash has its traceback, and that everything.
    recorder.events.clear()


@pytest.fixture(params=["spliced", "eager"])
def scopes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with scopes spliced in at exit, and with a scope per process."""
    monkeypatch.setattr(_life, "EAGER_SCOPES", request.param == "eager")
    return request.param
