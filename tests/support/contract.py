"""A plugin for all tests: an event that breaks the contract of events fails its test.

It is no handler: while one is attached the library does not log crashes by itself, which
is what many tests are about. It stands around `supervision.emit`, by which all of the
node emits, and where the library makes its own events.
"""

from collections.abc import Mapping

import pytest

import supervision
from supervision import _telemetry

BREACHES: list[str] = []

_emit = supervision.emit
_make = _telemetry.Event


def _look(event: supervision.Event) -> None:
    # Tests of the library alone do without the node.
    from beamclaw.telemetry.contract import breach  # noqa: PLC0415

    found = breach(event)
    if found is not None:
        BREACHES.append(found)


def emit(
    name: str,
    measurements: Mapping[str, float] = _telemetry._NOTHING,
    metadata: Mapping[str, object] = _telemetry._NOTHING,
) -> None:
    """As :func:`supervision.emit`, and looked at."""
    if name.startswith("beamclaw."):
        _look(_make(name, measurements, metadata))
    _emit(name, measurements, metadata)


def event(
    name: str, measurements: Mapping[str, float], metadata: Mapping[str, object]
) -> supervision.Event:
    """As :class:`supervision.Event` where the library makes one, and looked at."""
    made = _make(name, measurements, metadata)
    if name.startswith("supervision."):
        _look(made)
    return made


def pytest_configure() -> None:
    """From here on."""
    supervision.emit = emit
    _telemetry.Event = event


@pytest.fixture(autouse=True)
def _contract_of_events():
    BREACHES.clear()
    yield
    assert not BREACHES


@pytest.fixture
def made_up_events():
    """For a test whose events are made up."""
    yield
    BREACHES.clear()
