"""What the shell and top show: lines that fit, and that no terminal obeys."""

import pytest

from beamclaw.cli import live_views as views
from beamclaw.cli.top_view import View, keys, picture


def process(id, **more):
    return {
        "id": id,
        "name": id,
        "pid": "<1>",
        "kind": "server",
        "status": "waiting",
        "strategy": None,
        "restart": "permanent",
        "mailbox": 0,
        "messages": 0,
        "restarts": 0,
        "uptime": 5.0,
        "about": None,
        "last_reason": None,
        "suspended": False,
        "hidden": 0,
        "rate": 0.0,
        "memory": None,
        "children": [],
        **more,
    }


TREE = process(
    "root",
    strategy="one_for_one",
    children=[process("a", suspended=True), process("b", hidden=7)],
    hidden=1_000,
)


def test_a_tree_counts_what_it_does_not_show():
    lines = list(views.tree({**TREE, "cut": False}, 80))
    assert lines[0].startswith("beamclaw")
    assert "SUSPENDED" in lines[1]
    assert lines[-1].strip().endswith("and 1,000 more")
    assert lines[-2].strip().endswith("7 more")


def test_a_tree_shows_what_each_process_can_be_asked_for_with():
    below = [
        process("log", name="gateway/log", pid="<12>"),
        process("listener", name="gateway", pid="<13>"),
        process("door", name="default/sessions", pid="<14>", restarts=1),
        process("gone", name=None, pid=None, status="cooling-down"),
    ]
    gateway = process("gateway", name=None, pid="<9>", children=below)
    assert list(
        views.tree({**process("root", children=[gateway]), "cut": False}, 99)
    ) == [
        "beamclaw        <1>                     server, waiting, up 5 s",
        "└─ gateway      <9>                     server, waiting, up 5 s",
        "   ├─ log       <12>                    server, waiting, up 5 s",
        # Its name is the id of the one above, for which it would be taken.
        "   ├─ listener  <13>                    server, waiting, up 5 s",
        "   ├─ door      <14>  default/sessions  server, waiting, up 5 s, restarted 1 time",
        "   └─ gone                              server, cooling-down, up 5 s",
    ]


def test_a_tree_without_other_names_has_no_column_for_them():
    drawn = list(views.tree({**process("root", pid="<2>"), "cut": False}, 80))
    assert drawn == ["beamclaw  <2>  server, waiting, up 5 s"]


def test_a_tree_that_is_cut_says_how_to_get_more():
    *drawn, last = views.tree({**TREE, "cut": True, "shown": 10_000}, 500)
    assert len(drawn) == 5
    assert last.startswith("cut after 10,000 processes")
    assert "--limit" in last
    assert "shell.processes" in last


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_table_fits(width):
    rows = [("name", 12, "x" * 300), ("日本語" * 5, 3, "short")]
    for line in views.table(("a", "b", "c"), rows, width):
        assert views.width_of(line) <= width


@pytest.mark.parametrize(
    "text, wide, shown",
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 4, "日…"), ("", 0, "")],
)
def test_what_is_too_long_is_cut(text, wide, shown):
    assert views.cut(text, wide) == shown


@pytest.mark.parametrize(
    "number, shown",
    [(None, "not known"), (5, "5 B"), (2048, "2.0 KiB"), (3 * 1024**3, "3.0 GiB")],
)
def test_bytes_for_people(number, shown):
    assert views.size(number) == shown


EVIL = "\x1b[2J\u202eevil\n"


@pytest.mark.parametrize(
    "view, found",
    [
        (views.state, {"fields": {EVIL: EVIL}}),
        (views.replied, {"reply": EVIL}),
        (views.replaced, {"before": EVIL, "after": EVIL}),
        (views.evaluated, {"printed": EVIL, "value": EVIL, "left_out": 0}),
        (
            views.mailbox,
            {
                "waiting": 1,
                "messages": [{"kind": "cast", "from": EVIL, "message": EVIL}],
            },
        ),
        (
            views.traced,
            {
                "type": "traced",
                "left_out": 0,
                "kind": "call",
                "from": EVIL,
                "message": EVIL,
            },
        ),
        (views.tree, process(EVIL, about=EVIL, cut=False)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_terminal_obeys_what_stands_in_a_process(view, found):
    for line in view(found, 200):
        assert "\x1b" not in line
        assert "\u202e" not in line
        assert "\n" not in line


@pytest.mark.parametrize(
    "found, words",
    [
        (
            {"pid": "<1>", "restart": "permanent", "successor": "<2>"},
            "<2> is in its place",
        ),
        (
            {"pid": "<1>", "restart": "temporary", "successor": None},
            "nobody starts it again",
        ),
        (
            {"pid": "<1>", "restart": "permanent", "successor": None},
            "nothing is in its place",
        ),
        (
            {"pid": "<1>", "restart": "x", "successor": "<2>", "killed": False},
            "<1> has ended",
        ),
    ],
)
def test_what_came_of_a_restart(found, words):
    (line,) = views.restarted(found, 200)
    assert words in line


def test_a_turn_is_a_bar_for_each_thing():
    found = {
        "session": "s",
        "run_id": "r",
        "outcome": "ok",
        "at": 0.0,
        "seconds": 10.0,
        "spans": [
            {
                "kind": "queue",
                "what": "w",
                "after": 0.0,
                "seconds": 5.0,
                "outcome": "ok",
            },
            {
                "kind": "model",
                "what": "w",
                "after": 5.0,
                "seconds": 5.0,
                "outcome": "ok",
            },
        ],
    }
    _, _, queue, model = views.turn(found, 120)
    assert queue.index("█") < model.index("█")
    assert queue.count("█") == model.count("█") == 12


def test_one_of_a_thing_is_not_several():
    found = {"lag": 0, "worst": 0.2, "lags": 1, "threshold": 0.1, "culprits": []}
    assert next(views.slow(found, 80)).endswith("1 time above 100 ms")
    tree = process("a", restarts=1, mailbox=1) | {"cut": False}
    shown = "\n".join(views.tree(tree, 200))
    assert "restarted 1 time" in shown
    assert "1 waiting message" in shown
    assert "times" not in shown
    assert "messages" not in shown


# --- top

TOTALS = {
    "processes": 3,
    "messages": 1,
    "rate": 12.0,
    "restarts": 0,
    "crashes": 0,
    "cpu": 0.5,
    "resident": 1024,
    "lag": 0.001,
    "worst_lag": 0.1,
    "uptime": 60.0,
    "seconds": 1.0,
}
EVENT = {
    "totals": TOTALS,
    "tree": TREE,
    "by": {
        "rate": [process(f"p{n}", rate=100.0 - n) for n in range(50)],
        "mailbox": [],
        "memory": [],
    },
}


@pytest.mark.parametrize("columns, rows", [(80, 24), (20, 5), (200, 60)])
@pytest.mark.parametrize("sort", ["tree", "rate", "mailbox"])
def test_a_picture_fits_the_terminal(columns, rows, sort):
    lines = picture(EVENT, View(sort), columns, rows)
    assert len(lines) <= rows
    assert all(views.width_of(line) <= columns for line in lines)


def test_all_figures_of_a_common_node_fit_a_common_terminal():
    busy = {"processes": 120, "messages": 34, "rate": 1_234.0, "restarts": 12}
    totals = {**TOTALS, **busy, "cpu": 0.256, "resident": 150 << 20, "uptime": 90_061.0}
    first, second, *_ = picture({**EVENT, "totals": totals}, View("memory"), 80, 24)
    assert first == "beamclaw top · by memory · up 1 d 1 h · loop 1 ms late"
    assert second.endswith("12 restarts  25.6 % CPU  150.0 MiB")


def test_crashes_are_told_where_there_were_any():
    _, quiet, *_ = picture(EVENT, View("tree"), 100, 24)
    assert "crash" not in quiet
    busy = {**EVENT, "totals": {**TOTALS, "crashes": 3}}
    assert "0 restarts  3 crashes" in picture(busy, View("tree"), 100, 24)[1]


def test_the_keys_change_what_is_shown():
    assert picture(EVENT, View().pressed("r"), 100, 24)[4].endswith("p0")
    down = View("rate").pressed("j").pressed("\x1b[B")
    assert picture(EVENT, down, 100, 24)[4].endswith("p2")
    assert View("rate", first=1).pressed("k").pressed("k").first == 0
    assert picture(EVENT, View("rate", first=900), 100, 24)[-2].endswith("p49")
    assert View().pressed("h").sort == "memory"
    assert View().pressed("q").over
    assert View("rate").pressed("?") == View("rate")
    assert len(picture(EVENT, View(), 200, 24)[-1]) <= 80


def pressed(typed: str, view: View | None = None) -> View:
    view = view or View()
    for key in keys(typed):
        view = view.pressed(key)
    return view


def test_what_is_typed_behind_a_stroke_is_a_part_of_names_until_it_is_kept():
    view = pressed("/qr/\x7f\x1b[B")
    assert (view.match, view.typing, view.over, view.sort) == (
        "qr",
        True,
        False,
        "tree",
    )
    assert picture(EVENT, view, 80, 24)[-1] == "/qr_  Enter keep  Esc all"
    kept = pressed("\nm", view)
    assert (kept.match, kept.typing, kept.sort) == ("qr", False, "mailbox")
    assert "by mailbox of names with 'qr'" in picture(EVENT, kept, 80, 24)[0]
    assert "/ find" in picture(EVENT, kept, 80, 24)[-1]
    # One goes on with it, gives it up, or leaves.
    assert pressed("/s", kept).match == "qrs"
    assert pressed("\x1b", kept) == View("mailbox")
    assert pressed("\x1b", view) == View()
    assert pressed("\x03", view).over


def test_only_those_with_it_in_their_name_are_shown_and_in_the_tree_who_is_above():
    lines = picture(EVENT, View("rate", match="P4"), 100, 24)[4:-1]
    assert [line.split()[-1] for line in lines] == [
        "p4",
        *(f"p4{n}" for n in range(10)),
    ]
    lines = picture(EVENT, View(match="B"), 100, 24)[4:-1]
    assert [line.split()[-1] for line in lines] == ["beamclaw", "b"]
    assert picture(EVENT, View(match="nobody"), 100, 24)[4:-1] == []
    narrowed = {**EVENT, "totals": {**TOTALS, "processes": 1_500, "matched": 1_200}}
    assert "1,200 of 1,500 processes" in picture(narrowed, View(), 100, 24)[1]


def test_a_part_of_a_name_is_nothing_that_a_terminal_obeys():
    view = View(match="\x1b[2J", typing=True)
    assert not any("\x1b" in line for line in picture(EVENT, view, 100, 24))


def test_a_key_may_be_several_characters():
    typed = ["a", "\x1b[B", "q", "\x1b[3~", "\x1b", "\n"]
    assert list(keys("".join(typed))) == typed


@pytest.mark.parametrize(
    "held, words",
    [
        (None, ""),
        ({"bytes": 2_048, "whole": True}, "2.0 KiB"),
        ({"bytes": 2_048, "whole": False}, ">2.0 KiB"),
    ],
)
def test_what_a_process_holds(held, words):
    assert views.memory({"memory": held}) == words
    # A node of an earlier release does not say it.
    assert views.memory({}) == ""
    lines = picture({**EVENT, "tree": process("a", memory=held)}, View(), 100, 24)
    assert words in lines[4]
