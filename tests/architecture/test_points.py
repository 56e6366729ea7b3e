"""Every step that others rely on stands between two points that a test can reach.

A commit, a sync, a file's new name, something sent, an acknowledgement, a process or an
effect begun: whoever adds one puts ``with point("<name>"):`` around it and the name, with
a sentence, into the table of :mod:`beamclaw.contracts.points`. The crash tests then kill
the node there by themselves.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import attrs
import pytest

from beamclaw.contracts.points import POINTS, SIDES, hooked, names, point
from beamclaw.ledger import book as ledger
from beamclaw.ledger import reads
from beamclaw.store import book as store

ROOT = Path(__file__).parents[2]

# Every request that has a database written: whoever makes one means to send it. They are
# the types that the books write, so that one more counts without anybody remembering.
WRITES = sorted(
    each.__name__ for each in (*get_args(ledger.Job), *get_args(store.Write))
)
# What counts: by the text of the called function, as it stands in the source.
STEPS: dict[str, str] = {
    "a commit": rf"\.(commit|commit_beside)$|^(\w+\.)*({'|'.join(WRITES)})$",
    "a sync": r"^os\.(fsync|fdatasync)$",
    "a name": r"\.(rename|hardlink_to|symlink_to|mkdir)$|^os\.(replace|rename|link|mkdir|makedirs)$",
    "a message": r"^(supervision\.|bus\.|self\._bus\.|.*\.bus\.)(send|cast)$",
    "a reply": r"^supervision\.(reply|reply_error)$",
    "something sent": r"\.send_all$|\.handle_async_request$|^self\._send$",
    "a process begun": r"^supervision\.(start_child|async_nolink|spawn\w*)$|\.begin_call$",
    "a process ended": r"^supervision\.exit$",
    "an effect": r"[tT]ool\.(run|check)$|\.effect$",
}
RULES = {kind: re.compile(rule) for kind, rule in STEPS.items()}
# Statements of SQL count by what they say.
SQL = re.compile(r"^COMMIT\b")

# Where one need not stand between points, and why. By file, or file and function. What
# is not needed any more fails, so this stays the truth.
EXEMPT: dict[str, str] = {
    "beamclaw/backup/packing.py": "a command beside the node; killed in its own tests",
    "beamclaw/backup/restoring.py": "a command without a node; killed in its own tests",
    "beamclaw/bus/_local.py": "carries what others send; their sites are the points",
    "beamclaw/commands/_launcher/reaper.py": "another program, which the point may not reach",
    "beamclaw/commands/notices.py:_commit": "what all commits of it go through",
    "beamclaw/contracts/sessions.py:accept": "only makes it; who sends it counts",
    "beamclaw/files/aliases.py": "passes on; the process of the call has the points",
    "beamclaw/gateway/auth/gate.py": "who was seen, or wants more: made good next time",
    "beamclaw/gateway/broadcast.py": "what clients are told may be lost: they see it",
    "beamclaw/gateway/connection.py": "carries what `Exchange` sends: http.send",
    "beamclaw/gateway/devices/_server.py:handle_call": "a refusal: nothing was written",
    "beamclaw/gateway/exchange.py:run": "no more is to come: nothing is sent",
    "beamclaw/gateway/socket/client.py:_write": "the rest of what began to be sent",
    "beamclaw/gateway/listener.py": "about connections, of which nothing is kept",
    "beamclaw/ledger/server.py:_answer": "a refusal: nothing was written",
    "beamclaw/ledger/server.py:_answer_read": "to itself: whether the disk works again",
    "beamclaw/ledger/server.py:_answer_write": "to itself: nothing was written",
    "beamclaw/ledger/server.py:_driver": "to itself: its file cannot be used any more",
    "beamclaw/ledger/server.py:terminate": "a refusal: nothing was written",
    "beamclaw/providers/permits.py:_ask": "a refusal: no leave was given",
    "beamclaw/providers/permits.py:_turn_away": "a refusal: no leave was given",
    "beamclaw/runs/alerts.py:tell": "a list that is shorter then: the log has it",
    "beamclaw/runs/asking.py:_tell_paid": "a hint that something was paid: the ledger has it",
    "beamclaw/runs/record.py:_write": "what all commits of a run go through",
    "beamclaw/sessions/journal.py:_write": "what all commits of a session go through",
    "beamclaw/sessions/upkeep.py:_delete": "a hint: who cleans up looks by itself, too",
    "beamclaw/sessions/door.py:handle_call": "a refusal: nothing was begun",
    "beamclaw/service/server.py:_lives": "changes nothing: whether the disk works",
    "beamclaw/service/server.py:_hear": "to itself: there is something to tell",
    "beamclaw/shell/connection.py:serve": "ends itself, with all of its connection",
    "beamclaw/shell/connection.py:_begin": "a request's process; what it does counts",
    "beamclaw/shell/connection.py:_cancel": "what nobody waits for any more",
    "beamclaw/shell/passing.py": "an order's process, and its end; what it does counts",
    "beamclaw/shell/steering.py": "what a person does by hand; nobody relies on it",
    "beamclaw/shell/tracing.py": "to itself: there is something to tell",
    "beamclaw/shell/listener.py": "a connection's process; what it does counts",
    "beamclaw/sandbox/cgroups.py:make": "a trial, which is removed at once",
    "beamclaw/skills/watching.py": "a hint: each turn looks for itself",
    "beamclaw/store/server.py:init": "to itself: its file cannot be used any more",
    "beamclaw/store/server.py:_answer": "a refusal: nothing was written",
    "beamclaw/telemetry/audit.py": "nobody waits for it, and no answer depends on it",
    "beamclaw/telemetry/statistics/server.py": "figures; the latest may be lost",
    "beamclaw/telemetry/traces/server.py": "nobody waits for it, and spans may be lost",
}

# The fakes are the world outside; but for the tools, whose effects count.
SKIPPED = re.compile(r"^beamclaw/testing/(?!world\.py)|^beamclaw/cli/")


@attrs.frozen
class Site:
    """One call that counts."""

    place: str
    function: str
    line: int
    what: str
    name: str | None

    @property
    def words(self) -> str:
        return f"{self.place}:{self.line} ({self.function}): {self.what}"


def sites(place: str, text: str) -> Iterator[Site]:
    """Each call that counts in a module, with the points it stands between."""
    # What is left to look at: with the function around it, and the name of the points
    # around it, which are the nearest in its function.
    left: list[tuple[ast.AST, str, str | None]] = [(ast.parse(text), "", None)]
    while left:
        node, function, name = left.pop()
        if isinstance(node, ast.Call):
            for what in filter(None, (counts(node), *map(given, node.args))):
                yield Site(place, function, node.lineno, what, name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function, name = node.name, None
        elif isinstance(node, ast.Lambda):
            name = None
        elif isinstance(node, ast.With):
            named = (_named(item.context_expr) for item in node.items)
            name = next(filter(None, named), name)
        left += ((child, function, name) for child in ast.iter_child_nodes(node))


def counts(call: ast.Call) -> str | None:
    """What kind of step it is."""
    called = _said(call.func)
    if called.endswith(".execute") and call.args:
        sql = call.args[0]
        said = sql.value if isinstance(sql, ast.Constant) else ""
        return "a commit" if SQL.match(str(said)) else None
    return _kind(called)


def given(argument: ast.expr) -> str | None:
    """What kind of step a function is that is given to another, to be called there."""
    if isinstance(argument, ast.Attribute):
        said = _said(argument)
        return _kind(said) if said.startswith("supervision.") else None
    return None


def _kind(called: str) -> str | None:
    return next((kind for kind, rule in RULES.items() if rule.search(called)), None)


def _said(expression: ast.expr) -> str:
    """As it stands in the source; `ast.unparse` takes long, and is seldom needed."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute) and isinstance(
        expression.value, ast.Name | ast.Attribute
    ):
        return f"{_said(expression.value)}.{expression.attr}"
    return ast.unparse(expression)


def _named(expression: ast.expr) -> str | None:
    if (
        isinstance(expression, ast.Call)
        and _said(expression.func) == "point"
        and isinstance(expression.args[0], ast.Constant)
    ):
        return str(expression.args[0].value)
    return None


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "beamclaw").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if not SKIPPED.search(place):
            yield place, path.read_text()


ALL = [site for place, text in modules() for site in sites(place, text)]
MENTIONED = re.compile(r"\bpoint\(\s*\"([^\"]+)\"\s*\)")


def exempt(site: Site) -> str | None:
    both = (site.place, f"{site.place}:{site.function}")
    return next((key for key in both if key in EXEMPT), None)


def test_every_step_that_counts_stands_between_points():
    bare = [s.words for s in ALL if s.name is None and not exempt(s)]
    assert not bare, (
        'put `with point("<name>"):` around it, and the name '
        "into the table of beamclaw/contracts/points.py:\n" + "\n".join(bare)
    )


def test_every_request_that_writes_is_known():
    """Also those that a session's own commit does not carry."""
    assert {"Accept", "ChangeAccess", "ClaimTenant", "Commit", "Erase"} <= {*WRITES}
    assert {*WRITES}.isdisjoint(each.__name__ for each in get_args(reads.Read))
    assert {*get_args(store.Job)} == {*get_args(store.Write), *get_args(store.Read)}


def test_every_exemption_is_one():
    assert {exempt(s) for s in ALL if s.name is None} - {None} == set(EXEMPT)


def test_a_step_that_another_one_is_to_take_counts_as_well():
    text = "def f(): later(partial(supervision.cast, name, word))"
    (site,) = sites("x.py", text)
    assert (site.function, site.what, site.name) == ("f", "a message", None)


def test_every_point_is_reached_at_one_place():
    found = Counter(name for _, text in modules() for name in MENTIONED.findall(text))
    assert found == dict.fromkeys(POINTS, 1)


def test_every_point_has_a_sentence():
    assert all(" " in sentence for sentence in POINTS.values())
    assert len(set(POINTS.values())) == len(POINTS)


def test_nothing_but_tests_can_put_a_hook_in():
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "beamclaw").rglob("*.py")
        if re.search(r"\bhooked\b|points\._hook", path.read_text())
    ]
    assert {u for u in users if not u.startswith("beamclaw/testing/")} == {
        "beamclaw/contracts/points.py"
    }


def test_a_hook_hears_of_every_point_while_it_is_in():
    heard: list[str] = []
    with hooked(heard.append):
        with point("run.commit"):
            heard.append("committed")
        with suppress(ZeroDivisionError), point("run.act"):
            raise ZeroDivisionError
        with pytest.raises(RuntimeError), hooked(heard.append):
            pass
    with point("run.retry"):
        pass

    assert heard == [
        "run.commit.before",
        "committed",
        "run.commit.after",
        "run.act.before",
    ]
    assert len(names()) == len(SIDES) * len(POINTS)


@pytest.mark.parametrize(
    "text",
    [
        "os.fsync(handle)",
        "path.rename(other)",
        "await record.commit()",
        "connection.execute('COMMIT')",
        "supervision.send(pid, message)",
        "x = await supervision.call(name, ledger.Accept(a=1))",
        *(f"request = {name}(at=1)" for name in WRITES),
        *(f"await bus.call(name, contracts.ledger.{name}(at=1))" for name in WRITES),
        "await self._tool.run(order)",
        'with point("a"):\n  pass\nos.fsync(handle)',
        'with points("a"):\n  os.fsync(handle)',
        'with point("a"):\n  def g():\n    os.fsync(handle)',
        'with point("a"):\n  x = lambda: os.fsync(handle)',
    ],
)
def test_a_bare_step_is_found(text):
    (site,) = sites("x.py", _in_function(text))
    assert site.name is None


@pytest.mark.parametrize(
    "text",
    [
        'with point("a"):\n  os.fsync(handle)',
        'with suppress(OSError), point("a"):\n  os.fsync(handle)',
        'with point("a"):\n  try:\n    await r.commit()\n  finally:\n    x()',
        'with point("b"):\n  with point("a"):\n    await r.commit()',
    ],
)
def test_a_step_between_its_points_is_left_alone(text):
    (site,) = sites("x.py", _in_function(text))
    assert site.name == "a"


def _in_function(text: str) -> str:
    return "async def f():\n" + "\n".join(f"  {line}" for line in text.splitlines())
