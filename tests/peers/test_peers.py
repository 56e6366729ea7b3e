"""Each peer runs for real, so that a pipeline without one shows it here first."""

import subprocess
from pathlib import Path

import pytest

from tests.peers.plugin import which


def run(*command: str | Path, seconds: float = 60) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.peer("erlang")
def test_erlang_prints_its_release(peer):
    program = "io:put_chars(erlang:system_info(otp_release)), halt()."
    assert int(run(peer, "-noshell", "-eval", program)) >= 25


@pytest.mark.slow
@pytest.mark.peer("chromium")
def test_chromium_shows_a_page_without_a_screen(peer, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<title>t</title><p id=p></p><script>p.append(6 * 7)</script>")
    shown = run(
        peer,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        page.as_uri(),
    )
    assert '<p id="p">42</p>' in shown


@pytest.mark.peer("node")
def test_node_is_the_one_that_the_openclaw_client_needs(peer):
    assert run(peer, "--version").startswith("v24.")


@pytest.mark.peer("axe")
@pytest.mark.peer("node")
def test_axe_is_a_program_of_the_version_that_is_written_down():
    axe, node = which("axe"), which("node")
    assert axe is not None
    assert node is not None
    said = run(node, "-p", f"require({axe!r}).version")
    assert f"axe={said.strip()}\n" in Path("scripts/peers").read_text()


@pytest.mark.peer("bubblewrap")
def test_bubblewrap_runs_a_program_in_namespaces_of_its_own(peer):
    run(peer, "--ro-bind", "/", "/", "--unshare-pid", "--die-with-parent", "/bin/true")


@pytest.mark.peer("promtool")
def test_promtool_says_which_it_is(peer):
    assert run(peer, "--version").startswith("promtool, version ")


@pytest.mark.slow
@pytest.mark.peer("openclaw")
@pytest.mark.peer("node")
def test_the_openclaw_client_starts_on_that_node():
    node, client = which("node"), which("openclaw")
    assert node is not None
    assert client is not None
    assert "2026.9.6" in run(node, Path(client).resolve(), "--version")
