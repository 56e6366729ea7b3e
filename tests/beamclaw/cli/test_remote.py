"""What is proved: whoever would send the token for others to read is told so, once."""

import argparse

import pytest

from beamclaw.cli.place import place


def told(capsys: pytest.CaptureFixture[str], url: str | None) -> str:
    place(argparse.Namespace(url=url, data=None))
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    "url, tunnel",
    [
        ("http://10.0.0.5:18000", "ssh -L 18789:127.0.0.1:18000 10.0.0.5"),
        ("ws://claw.example.org", "ssh -L 18789:127.0.0.1:18789 claw.example.org"),
        ("claw.example.org", "ssh -L 18789:127.0.0.1:18789 claw.example.org"),
        ("http://[fd00::1]", "ssh -L 18789:127.0.0.1:18789 fd00::1"),
        # A name that only begins like one of this machine.
        ("http://127.0.0.1.example.org", "127.0.0.1.example.org"),
    ],
)
def test_a_token_that_others_can_read_is_warned_of_in_one_line(capsys, url, tunnel):
    err = told(capsys, url)
    assert err.startswith(f"warning: {url} is not encrypted")
    assert err.endswith(f"{tunnel}\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://claw.example.org",
        "wss://10.0.0.5:18789",
        "http://127.0.0.1:18789",
        "http://localhost",
        "ws://[::1]:18789",
    ],
)
def test_what_stays_on_this_machine_or_is_encrypted_is_not(capsys, url):
    assert told(capsys, url) == ""
