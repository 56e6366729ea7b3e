"""Inside the run of the tests: choose those of some items, and write down what became
of each.

A plugin of pytest. Lines are written as things happen, so that a run that hangs says in
which test.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from .copies import check_package


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--items", help="run only tests of these items, with commas")
    group.addoption("--without", action="append", default=[], help="but not this one")
    group.addoption("--story", help="the file to write to")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.story:
        # What fails need not be made smaller.
        settings.register_profile("faults", phases=[Phase.explicit, Phase.generate])
        settings.load_profile("faults")
        config.pluginmanager.register(Story(config), "story")


class Story:
    """Writes down what becomes of the tests of some items."""

    def __init__(self, config: pytest.Config) -> None:
        check_package()
        self._path = Path(config.option.story)
        self._without = set(config.option.without)
        # Items for which no test has failed yet; and the items of each test.
        self._wanted = set(config.option.items.split(","))
        self._items_of: dict[str, list[str]] = {}
        self._session: pytest.Session | None = None

    def _write(self, *words: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(words) + "\n")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        self._session = session
        for test in items:
            marks = test.iter_markers("otp")
            named = sorted({str(item) for mark in marks for item in mark.args})
            if self._wanted & set(named) and test.nodeid not in self._without:
                self._items_of[test.nodeid] = named
        items[:] = [test for test in items if test.nodeid in self._items_of]
        self._write("collected", self._items_of)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write("broken", str(report.longrepr)[-2000:])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write("begins", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        self._write("failed", report.nodeid, report.when, _last(report.longreprtext))
        if report.when != "setup":
            self._wanted -= set(self._items_of[report.nodeid])
        if not self._wanted and self._session is not None:
            self._session.shouldstop = "everything that was wanted is red"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write("ends", nodeid)

    def pytest_sessionfinish(self) -> None:
        self._write("finished")


def _last(text: str) -> str:
    """The line of a failure that says most."""
    lines: Sequence[str] = [line for line in text.splitlines() if line[:2] == "E "]
    return lines[0][1:].strip()[:200] if lines else text.strip()[-200:]
