"""For every test of `supervision`: crashes on purpose are recorded, not logged."""

from collections.abc import Generator

import pytest

from supervision import _life
from supervision.testing import Recorder


@pytest.fixture(autouse=True)
def events() -> Generator[Recorder]:
    with Recorder.attached() as recorder:
        yield recorder


@pytest.fixture(params=["spliced", "eager"])
def scopes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with scopes spliced in at exit, and with a scope per process."""
    monkeypatch.setattr(_life, "EAGER_SCOPES", request.param == "eager")
    return request.param
