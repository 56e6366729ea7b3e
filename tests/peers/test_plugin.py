"""The peers plugin, run on small test files in a pytest of its own."""

from pathlib import Path

import pytest

from tests.peers import plugin

pytest_plugins = ["pytester"]

CONFTEST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
pytest_plugins = ["tests.peers.plugin"]
def pytest_configure(config):
    config.addinivalue_line("markers", "peer(name): needs a program")
"""

NEEDS_ERLANG = """
import pytest

@pytest.mark.peer("erlang")
def test_compares(): ...

def test_alone(): ...
"""

SKIPS_ITSELF = """
import pytest

def test_skips_itself():
    pytest.skip("for a reason of its own")
"""


@pytest.fixture
def outcome(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request
) -> pytest.RunResult:
    required, source = request.param
    monkeypatch.setattr(plugin, "REQUIRED", required)
    nowhere = plugin.Peer(lambda: None, "apt-get install erlang-base")
    monkeypatch.setitem(plugin.PEERS, "erlang", nowhere)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess()


@pytest.mark.parametrize("outcome", [(False, NEEDS_ERLANG)], indirect=True)
def test_an_absent_peer_skips_and_the_last_lines_say_how_to_get_it(outcome):
    outcome.assert_outcomes(passed=1, skipped=1)
    assert outcome.ret == pytest.ExitCode.OK
    *_, says, closing = outcome.outlines
    assert says == (
        "missing peer: erlang (1 tests skipped); to get it: apt-get install erlang-base"
    )
    assert "1 passed, 1 skipped" in closing


@pytest.mark.parametrize(
    "outcome", [(True, NEEDS_ERLANG), (True, SKIPS_ITSELF)], indirect=True
)
def test_where_peers_are_required_any_skip_fails_the_run(outcome):
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    assert "BEAMCLAW_PEERS=required, and skipped: " in outcome.outlines[-2]


@pytest.mark.parametrize("outcome", [(False, SKIPS_ITSELF)], indirect=True)
def test_where_they_are_not_a_skip_is_only_a_skip(outcome):
    assert outcome.ret == pytest.ExitCode.OK
