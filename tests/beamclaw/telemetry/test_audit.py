"""Who did what: which events are written down, durably, and how it is read."""

import json
import os
import shutil
from pathlib import Path

import pytest

import supervision
from beamclaw.cli import logs, main
from beamclaw.config.redactor import Redactor
from beamclaw.contracts import audit
from beamclaw.contracts.secret import Secret
from beamclaw.shell.deeds import EXPRESSION
from beamclaw.telemetry.audit import AuditServer, Book
from beamclaw.telemetry.lines import Line
from supervision import ChildSpec, open_supervisor

NOVEMBER, DECEMBER = 1_793_491_200.0, 1_796_083_200.0  # the first, 2026, UTC
EVIL = 'bob\n{"forged": 1}\r\x1b[2J\u202e\u2028\x9b31m\ud800'


def book(path, **changes):
    return Book(**{"data": path, "redactor": Redactor(), "keep": 12, **changes})


def line(at=NOVEMBER, **fields):
    return Line(at=at, level="info", event="beamclaw.gateway.cut", fields=fields)


def rows(path: Path):
    files = audit.files(path)
    return [json.loads(row) for file in files for row in file.read_text().splitlines()]


async def test_what_somebody_does_is_written_down_and_nothing_else(tmp_path):
    start = lambda: AuditServer(book(tmp_path), lambda: NOVEMBER, threads=False)  # noqa: E731
    async with open_supervisor([ChildSpec("audit", start, name=audit.NAME)]):
        supervision.emit(
            "beamclaw.approval.revoked", {}, {"tenant": "t", "grant": 3, "by": "ada"}
        )
        supervision.emit("beamclaw.gateway.refused", {}, {"status": 404, "code": "x"})
    assert rows(tmp_path) == [
        {
            "time": "2026-11-01T00:00:00.000Z",
            "level": "info",
            "event": "beamclaw.approval.revoked",
            "tenant": "t",
            "grant": 3,
            "by": "ada",
        }
    ]


def test_an_expression_of_any_length_that_runs_is_written_down_whole(tmp_path):
    one = book(tmp_path)
    longest = "é" * EXPRESSION
    one.write(line(what=longest))
    assert [row["what"] for row in rows(tmp_path)] == [longest]


def test_a_folder_that_somebody_took_away_is_made_again(tmp_path):
    one = book(tmp_path)
    one.write(line(number=1))
    shutil.rmtree(audit.folder(tmp_path))
    one.write(line(number=2))
    assert [row["number"] for row in rows(tmp_path)] == [2]
    assert one.lost == 0


def test_an_old_file_that_cannot_be_removed_costs_no_line(tmp_path):
    old = audit.folder(tmp_path) / "2026-10.jsonl"
    old.mkdir(parents=True)
    one = book(tmp_path, keep=1)
    one.write(line(number=1))
    assert (one.written, one.lost) == (1, 0)


def test_nobody_else_can_read_it(tmp_path):
    book(tmp_path).write(line())
    (file,) = audit.files(tmp_path)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


def test_only_so_many_months_are_kept(tmp_path):
    audit.folder(tmp_path).mkdir()
    for month in ("2026-01", "2026-09", "2026-10"):
        (audit.folder(tmp_path) / f"{month}.jsonl").touch()
    book(tmp_path, keep=2).write(line())
    assert [file.stem for file in audit.files(tmp_path)] == ["2026-10", "2026-11"]


def test_a_new_month_has_a_new_file(tmp_path):
    kept = book(tmp_path, keep=1)
    kept.write(line())
    kept.write(line(at=DECEMBER))
    assert [file.stem for file in audit.files(tmp_path)] == ["2026-12"]


def test_a_full_disk_leaves_whole_rows_and_the_next_one_says_what_is_missing(
    tmp_path, monkeypatch
):
    kept, write = book(tmp_path), os.write
    kept.write(line(by="a"))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    kept.write(line(by="b"))
    kept.write(line(by="c"))
    monkeypatch.undo()
    kept.write(line(by="d"))
    assert [(row["by"], row.get("missing")) for row in rows(tmp_path)] == [
        ("a", None),
        ("d", 2),
    ]
    assert (kept.written, kept.lost) == (2, 2)


def test_a_secret_is_in_no_row(tmp_path):
    hides = Redactor((Secret("canary-1b2c3d"),))
    book(tmp_path, redactor=hides).write(line(by="canary-1b2c3d"))
    assert rows(tmp_path)[0]["by"] == "[secret]"


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_what_is_logged_can_neither_forge_a_row_nor_reach_the_terminal(
    tmp_path, capsys, json_too
):
    book(tmp_path).write(line(by=EVIL))
    assert len(rows(tmp_path)) == 1
    assert main(["audit", "--data", str(tmp_path), *json_too]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown.removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    "wanted, found",
    [
        ({}, ["a.one", "beamclaw.gateway.cut", "beamclaw.gateway.paired"]),
        ({"event": "gateway"}, ["beamclaw.gateway.cut", "beamclaw.gateway.paired"]),
        ({"event": "gateway.cut"}, ["beamclaw.gateway.cut"]),
        ({"event": "gate"}, []),
        ({"event": "*.cut"}, ["beamclaw.gateway.cut"]),
        ({"event": "a"}, ["a.one"]),
        ({"level": "warning"}, ["beamclaw.gateway.paired"]),
        ({"since": NOVEMBER + 1}, ["a.one"]),
    ],
)
def test_rows_are_chosen_by_event_level_and_time(wanted, found):
    given = {"since": None, "level": "debug", "event": None, **wanted}
    kept = [
        {"event": "a.one", "level": "info", "time": "2026-11-02T00:00:00Z"},
        {
            "event": "beamclaw.gateway.cut",
            "level": "info",
            "time": "2026-11-01T00:00:00Z",
        },
        {"event": "beamclaw.gateway.paired", "level": "error", "time": "what"},
    ]
    assert [row["event"] for row in filter(logs.wants(**given), kept)] == found


def test_a_row_that_a_crash_has_cut_is_passed_over(tmp_path, capsys):
    book(tmp_path).write(line(by="ada"))
    (file,) = audit.files(tmp_path)
    file.write_text('{"time": "2026-1\n' + file.read_text() + '["no row"]\n')
    assert main(["audit", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("by=ada") == 1
