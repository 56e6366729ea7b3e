"""The log: levels, formats, escaping, secrets, tracebacks, and who may not wait."""

import io
import json
import logging
import threading

import pytest

import supervision
from beamclaw.cli.logs import words
from beamclaw.config import Config
from beamclaw.config.redactor import Following, Redactor
from beamclaw.config.schema import AuthConfig, GatewayConfig, LoggingConfig
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.telemetry import supervisor
from beamclaw.telemetry.events import Tracebacks
from beamclaw.telemetry.lines import Line, as_json, as_text, escape
from beamclaw.telemetry.server import LogServer
from beamclaw.telemetry.sink import LogSettings, ThreadWriter
from supervision import ChildSpec, open_supervisor
from supervision.testing import settle, wait_exit, wait_name

CANARY = "canary-5f1c9a7e"
pytestmark = pytest.mark.usefixtures("made_up_events")
PLAIN = Redactor()


class AnyCall(supervision.Call[None]):
    pass


def settings(**changes):
    given = {"level": "info", "format": "json", "redactor": PLAIN}
    return LogSettings(**{**given, **changes}, wall=lambda: 0.0, threads=False)


def log_of(stream, **changes):
    start = lambda: LogServer(settings(**changes), stream)  # noqa: E731
    return ChildSpec("log", start, name="telemetry/log")


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_an_event_becomes_a_line_of_json():
    stream = io.StringIO()
    async with open_supervisor([log_of(stream)]):
        supervision.emit(
            "beamclaw.session.quarantined", {"revivals": 5.0}, {"session": "a"}
        )
    assert lines(stream) == [
        {
            "time": "1970-01-01T00:00:00.000Z",
            "level": "error",
            "event": "beamclaw.session.quarantined",
            "session": "a",
            "revivals": 5.0,
        }
    ]


async def test_what_is_less_important_than_the_level_is_left_out():
    stream = io.StringIO()
    async with open_supervisor([log_of(stream, level="error")]):
        supervision.emit("supervision.child.restart", {}, {})
        logging.getLogger("some.library").warning("well")
        logging.getLogger("some.library").error("bad %s", "thing")
    assert [line["message"] for line in lines(stream)] == ["bad thing"]


async def test_libraries_are_heard_from_warning_on():
    stream = io.StringIO()
    async with open_supervisor([log_of(stream)]):
        logging.getLogger("some.library").info("GET / 200")
        logging.getLogger("some.library").warning("well")
    assert [line["message"] for line in lines(stream)] == ["well"]


async def test_a_crash_is_written_with_its_traceback():
    stream = io.StringIO()

    async def fail():
        raise ValueError("no good")

    child = ChildSpec("bad", fail, restart="temporary", name="bad")
    async with open_supervisor([log_of(stream), child]):
        await settle()
    (line,) = lines(stream)
    assert line["event"] == "supervision.process.crash"
    assert line["level"] == "error"
    assert "ValueError: no good" in line["traceback"]


async def test_who_falls_because_another_is_down_is_told_in_one_line():
    stream = io.StringIO()

    async def lean_on_nobody():
        await supervision.call("nobody", AnyCall(), timeout=None)

    child = ChildSpec("leaning", lean_on_nobody, restart="temporary", name="leaning")
    async with open_supervisor([log_of(stream), child]):
        await settle()
    (line,) = lines(stream)
    assert (line["level"], line["name"]) == ("warning", "leaning")
    assert "nobody" in line["reason"]
    assert "traceback" not in line


async def test_a_killed_log_is_replaced_and_writes_once():
    stream = io.StringIO()
    async with open_supervisor([log_of(stream)]):
        pid = supervision.whereis("telemetry/log")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        await wait_name("telemetry/log")
        await settle()
        stream.truncate(0)
        stream.seek(0)
        supervision.emit("supervision.child.unkillable", {}, {})
    assert len(lines(stream)) == 1


async def test_after_its_end_nothing_is_left_behind():
    before = logging.getLogger().handlers.copy(), logging.getLogger().level
    async with open_supervisor([log_of(io.StringIO())]):
        assert logging.getLogger().handlers != before[0]
    assert (logging.getLogger().handlers, logging.getLogger().level) == before


async def test_a_stream_that_fails_hurts_nobody():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    async with open_supervisor([log_of(Closed())]):
        supervision.emit("supervision.child.unkillable", {}, {})
        assert supervision.state("telemetry/log")["dropped"] == 1


async def test_the_configuration_s_secrets_are_in_no_line(capsys):
    token = AuthConfig(token=Secret(CANARY))
    config = Config(
        gateway=GatewayConfig(auth=token), logging=LoggingConfig(format="json")
    )
    outside = Outside(threads=False)
    sup = supervisor(config, outside)
    async with open_supervisor(sup.children):
        logging.getLogger("lib").error("sent %s", CANARY, exc_info=KeyError(CANARY))
        supervision.emit("supervision.child.unkillable", {}, {"id": CANARY, "x": token})
    out = capsys.readouterr().err
    assert out.count("[secret]") >= 4
    assert CANARY not in out


def test_text_for_a_terminal():
    fields = {"id": "a b", "n": 3}
    line = Line(at=0.0, level="error", event="x", fields=fields, error=ValueError("v"))
    text = as_text(line, PLAIN)
    assert text.splitlines()[0].endswith(' error   x id="a b" n=3')
    assert "    ValueError: v" in text.splitlines()


def test_nobody_writes_a_line_of_his_own_into_the_log():
    evil = "a\nlevel=error\x1b[2J\u2028\u202e\x9b"
    line = Line(at=0.0, level="info", event=evil, fields={"x": evil})
    assert len(as_text(line, PLAIN).splitlines()) == 1
    assert "\x1b" not in as_text(line, PLAIN)
    assert len(as_json(line, PLAIN).splitlines()) == 1
    assert as_json(line, PLAIN).isascii()
    assert escape(evil) == r"a\nlevel=error\x1b[2J\u2028\u202e\x9b"


def test_a_field_takes_no_other_place():
    line = Line(at=0.0, level="info", event="e", fields={"level": "fatal", "n": 1})
    shown = json.loads(as_json(line, PLAIN))
    assert (shown["level"], shown["level_"]) == ("info", "fatal")


def test_what_cannot_be_shown_is_said_to_be_so():
    class Odd:
        def __str__(self):
            raise RuntimeError

    line = Line(at=0.0, level="info", event="e", fields={"x": Odd(), "y": "z" * 9999})
    shown = json.loads(as_json(line, PLAIN))
    assert shown["x"] == "<Odd that cannot be shown: RuntimeError>"
    assert len(shown["y"]) < 2100


def test_lists_stay_lists():
    redactor = Redactor((Secret("abcd"),))
    found = {
        "paths": ["a.b", "an abcd", 1],
        "none": (),
        "parts": (("x", None),),
        "set": frozenset({"b", "a"}),
        "long": ["z" * 900] * 3,
    }
    line = Line(at=0.0, level="info", event="e", fields=found)
    shown = json.loads(as_json(line, redactor))
    assert shown["paths"] == ["a.b", "an [secret]", 1]
    assert (shown["none"], shown["parts"]) == ([], [["x", None]])
    assert shown["set"] == ["a", "b"]
    # More than a field has is no list any more.
    assert shown["long"].endswith("... (2712)")
    text = as_text(line, redactor)
    assert ' paths="[a.b,an [secret],1]" none=[] parts=[[x,None]] set=[a,b] ' in text
    assert (
        words(shown | {"paths": ["a.b"]})
        .partition(" e ")[2]
        .startswith("paths=[a.b] none=[] parts=[[x,null]] set=[a,b] ")
    )


def test_a_secret_inside_of_a_longer_one():
    redactor = Redactor((Secret("abcd"), Secret("abcdefgh"), Secret("x"), Secret("")))
    assert redactor.scrub("1 abcdefgh 2 abcd 3 x") == "1 [secret] 2 [secret] 3 x"


def test_a_crash_loop_shows_few_tracebacks_and_counts_the_rest():
    rate = Tracebacks(most=2, seconds=10.0)
    assert [rate.admit("a", t) for t in (0, 1, 2, 3)] == [0, 0, None, None]
    assert rate.admit("b", 3) == 0
    assert rate.admit("a", 11) == 2


def test_a_full_queue_drops_and_never_waits():
    hold = threading.Event()
    writer = ThreadWriter(lambda line: hold.wait(5) and None, limit=3)
    line = Line(at=0.0, level="info", event="e")
    for _ in range(10):
        writer.put(line)
    assert writer.dropped >= 6
    hold.set()
    writer.close()


def test_a_secret_that_was_put_in_place_of_another_is_hidden_and_the_other_stays_so():
    found = Redactor((Secret("canary-old"),))
    following = Following(lambda: found)
    assert following.scrub("canary-old canary-new") == "[secret] canary-new"
    found = Redactor((Secret("canary-new"),))
    assert following.scrub("canary-old canary-new") == "[secret] [secret]"
