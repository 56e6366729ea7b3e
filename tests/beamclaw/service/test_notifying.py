"""Who listens, what is sent, and that a manager that is gone does no harm."""

import socket
from pathlib import Path

import pytest

from beamclaw.service.notifying import Manager, Notifier, manager_of


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"NOTIFY_SOCKET": "/"}, None),
        ({"NOTIFY_SOCKET": "@"}, None),
        ({"NOTIFY_SOCKET": "relative"}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1"}, None),
        ({"NOTIFY_SOCKET": "/run/n"}, Manager(address="/run/n")),
        ({"NOTIFY_SOCKET": "@n"}, Manager(address="\0n")),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000"},
            Manager(address="/n", within=30.0),
        ),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"},
            Manager(address="/n", within=3.0),
        ),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"},
            Manager(address="/n"),
        ),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, Manager(address="/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "-1"}, Manager(address="/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, Manager(address="/n")),
    ],
)
def test_who_listens(variables: dict[str, str], expected: Manager | None):
    assert manager_of(variables, 7) == expected


def test_a_ping_comes_three_times_in_the_time_that_is_given():
    assert Manager(address="/n", within=30.0).every == 10.0


@pytest.mark.parametrize("abstract", [False, True])
def test_fields_are_sent_and_no_value_begins_another(tmp_path: Path, abstract: bool):
    address = f"\0{tmp_path}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(10)
        notifier = Notifier(Manager(address=address))
        assert notifier.send(READY="1", STATUS="up\nWATCHDOG=1")
        assert listener.recv(4096) == b"READY=1\nSTATUS=up WATCHDOG=1"
    if not abstract:
        Path(address).unlink()
    assert not notifier.send(READY="1")
    notifier.close()
