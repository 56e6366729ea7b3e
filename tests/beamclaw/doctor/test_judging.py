"""What each fact means: one case for each rule."""

from collections.abc import Iterable

import pytest

from beamclaw.contracts.context import Window
from beamclaw.doctor import Finding, judging
from beamclaw.doctor.judging import MB, Database, Folder, Part, Running

FINE = Folder(path="/d", owner=1, user=1)
NOW = 1.8e9


def seen(found: Iterable[Finding]) -> list[tuple[str, str, str]]:
    """Level, check and repair of all but what is in order."""
    return [(e.level, e.check, e.repair) for e in found if e.level != "ok"]


@pytest.mark.parametrize(
    "python, trio, sqlite, platform, wrong",
    [
        ((3, 11, 0), "0.35.0", (3, 35, 0), "linux", 0),
        ((3, 14, 1), "1.0", (3, 50, 1), "darwin", 0),
        ((3, 10, 9), "0.35.0", (3, 35, 0), "linux", 1),
        ((3, 11, 0), "0.34.1", (3, 35, 0), "linux", 1),
        ((3, 11, 0), "0.35.0+dev", (3, 34, 1), "linux", 1),
        ((3, 11, 0), "0.35.0", (3, 35, 0), "win32", 1),
    ],
)
def test_versions(python, trio, sqlite, platform, wrong):
    found = seen(judging.versions(python, trio, sqlite, platform))
    assert found == [("error", "versions", "")] * wrong


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, []),
        ({"exists": False}, ["note"]),
        ({"owner": 2}, ["error"]),
        ({"owner": 2, "user": 0}, []),
        ({"unwritable": "Read-only file system"}, ["error"]),
        ({"kind": "ext4"}, []),
        ({"kind": "nfs4"}, ["error"]),
        ({"kind": "fuse.sshfs"}, ["error"]),
        ({"kind": "tmpfs"}, ["warning"]),
        ({"interrupted": True}, ["error"]),
    ],
)
def test_the_folder(given, expected):
    facts = Folder(**{"path": "/d", "owner": 1, "user": 1, **given})
    assert [level for level, *_ in seen(judging.folder(facts))] == expected


@pytest.mark.parametrize(
    "free, files, used, expected",
    [
        (2000 * MB, 10**6, 0, []),
        (900 * MB, 10**6, 0, ["warning"]),
        (2000 * MB, 10**6, 3000 * MB, ["warning"]),
        (99 * MB, 10**6, 0, ["error"]),
        (2000 * MB, 999, 0, ["warning"]),
        (2000 * MB, 0, 0, ["error"]),
    ],
)
def test_room(free, files, used, expected):
    facts = Folder(path="/d", free=free, files=files, used=used)
    assert [level for level, *_ in seen(judging.space(facts))] == expected


@pytest.mark.parametrize(
    "mode, secret, expected",
    [
        (0o600, True, []),
        (0o640, True, []),
        (0o644, False, []),
        (0o644, True, ["warning"]),
        (0o660, False, ["warning"]),
        (0o662, False, ["error"]),
        (0o666, True, ["error", "warning"]),
    ],
)
def test_who_reads_and_writes_the_configuration(mode, secret, expected):
    facts = [Part(path="/etc/claw/agents.yaml", mode=mode, secret=secret)]
    found = list(judging.parts(facts))
    assert [each.level for each in found] == expected
    assert all(f"({mode:o})" in each.what for each in found)


def test_what_others_can_read_is_named_and_the_token_is_an_error():
    open_ = {f"file{number}": 0o644 for number in range(7)}
    (found,) = judging.modes(Folder(path="/d", open_to_others=open_))
    assert (found.level, found.repair) == ("warning", "modes")
    assert "file0 (644)" in found.what
    assert "2 more" in found.what
    (found,) = judging.modes(Folder(path="/d", open_to_others={"token": 0o604}))
    assert found.level == "error"
    assert seen(judging.modes(FINE)) == []


@pytest.mark.parametrize(
    "running, expected",
    [
        (Running(held=True, holder="7", answers=True), []),
        (Running(held=True, holder="7"), [("error", "node", "")]),
        (Running(held=True), [("error", "node", "")]),
        (Running(), [("note", "node", "")]),
    ],
)
def test_the_node(running, expected):
    assert seen(judging.node(running, "/d")) == expected


def test_leftovers_of_a_node_that_runs_are_its_own():
    facts = Folder(path="/d", leftovers=[".probe-7"])
    assert seen(judging.leftovers(facts, Running())) == [
        ("note", "leftovers", "leftovers")
    ]
    assert seen(judging.leftovers(facts, Running(held=True))) == []


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, []),
        ({"version": 1}, []),
        ({"refused": "is damaged"}, [("error", "database", "")]),
        ({"damage": ["page 7 is lost"]}, [("error", "database", "")]),
        (
            {"damage": ["row 1 missing from index i"], "only_indexes": True},
            [("error", "database", "indexes")],
        ),
        ({"dangling": {"runs → sessions": 3}}, [("warning", "database", "")]),
        ({"counts": {"unsettled": 1}}, [("warning", "database", "")]),
        ({"counts": {"orphaned_outputs": 1}}, [("note", "database", "")]),
        ({"counts": {"open_turns": 1}}, [("note", "database", "")]),
        ({"counts": {"waiting": 1}}, [("note", "database", "")]),
        ({"counts": {"newest": int(NOW) + 100}}, []),
        ({"counts": {"newest": int(NOW) + 9000}}, [("warning", "clock", "")]),
    ],
)
def test_a_database(given, expected):
    facts = Database(**{"name": "ledger.db", "version": 5, "known": 5, **given})
    assert seen(judging.database(facts, running=False, now=NOW)) == expected


def test_open_turns_of_a_node_that_runs_are_in_order():
    facts = Database(name="ledger.db", counts={"open_turns": 3, "waiting": 1})
    assert seen(judging.database(facts, running=True, now=NOW)) == []


def test_a_token_is_never_in_a_finding():
    weak = "abcabcabcabcabcabc"
    for mode in ("token", "password"):
        found = list(judging.token(weak, "/d/token", mode))
        assert [each.level for each in found] == ["error"]
        assert weak not in str(found)
    strong = "k3Jd9-qLm2Zx8_Pw"
    found = list(judging.token(strong, "/d/token", "token"))
    assert seen(found) == []
    assert strong not in str(found)
    assert list(judging.token(weak, "", "trusted-proxy")) == []


@pytest.mark.parametrize(
    "exposed, mode, proxied, expected",
    [
        (None, "token", False, []),
        (None, "none", False, []),
        ("0.0.0.0", "none", False, ["error"]),
        ("0.0.0.0", "token", False, ["warning"]),
        ("0.0.0.0", "token", True, ["note"]),
    ],
)
def test_who_can_reach_it(exposed, mode, proxied, expected):
    found = seen(judging.listener(exposed, mode, proxied=proxied))
    assert [level for level, *_ in found] == expected


@pytest.mark.parametrize(
    "now, zone, known, wrong",
    [
        (NOW, "", True, 0),
        (NOW, "Europe/Vienna", True, 0),
        (NOW, "Europe/Wien", False, 1),
        (0.0, "", True, 1),
    ],
)
def test_the_clock(now, zone, known, wrong):
    assert len(seen(judging.clock(now, zone, zone_known=known))) == wrong


@pytest.mark.parametrize(
    "program, why, wrong",
    [("/usr/bin/bwrap", "", 0), ("/usr/bin/bwrap", "no", 1), ("", "", 1)],
)
def test_isolation(program, why, wrong):
    assert len(seen(judging.sandbox(program, why))) == wrong


def test_strays_are_named():
    (found,) = judging.strays([7, 8])
    assert "kill 7 8" in found.advice
    assert not list(judging.strays([]))


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, []),
        ({"there": False}, ["error"]),
        ({"data": "/other"}, ["note"]),
        ({"data": ""}, []),
        ({"current": False}, ["note"]),
    ],
)
def test_the_service(given, expected):
    unit = {"path": "/u", "program": "/p", "there": True, "data": "/d", "current": True}
    facts = judging.InstalledUnit(**{**unit, **given})
    assert [level for level, *_ in seen(judging.service([facts], "/d"))] == expected


def test_two_services_and_none():
    unit = judging.InstalledUnit(
        path="/u", program="/p", there=True, data="/d", current=True
    )
    found = seen(judging.service([unit, unit], "/d"))
    assert found == [("warning", "service", "")]
    assert seen(judging.service([], "/d")) == []


@pytest.mark.parametrize(
    "window, level, words",
    [
        (128_000, "ok", "p/m leaves a conversation about 112,504 tokens"),
        (20_000, "ok", "about 9,904 tokens"),
        (16_000, "note", "about 6,104 are left for the conversation"),
        (8_000, "error", "none is left"),
    ],
)
def test_the_room_that_a_model_leaves(window, level, words):
    facts = Window(
        tokens=window, output=4_096, overhead=5_000, system=1_000, keep=1, model="p/m"
    )
    (found,) = judging.room("main", facts)
    assert (found.level, found.check, found.where) == (level, "room", "agents.main")
    assert words in found.what
    keys = "providers.p.models.m.context_window", "agents.main.tools"
    assert all(key in found.advice for key in keys) is (level != "ok")
