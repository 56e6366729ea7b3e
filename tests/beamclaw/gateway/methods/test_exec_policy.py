"""What is proved: the document is what holds, and changes nothing that it cannot."""

from functools import partial

import attrs
import pytest
import yaml

import supervision
from beamclaw import bus as carrier
from beamclaw.config.current import Current
from beamclaw.config.schema import Config, ExecConfig
from beamclaw.config.server import ConfigServer
from beamclaw.contracts.approvals import Grant, GrantRow, RevokeGrant
from beamclaw.contracts.ledger_reads import ReadWaits
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.gateway.errors import MethodError
from beamclaw.gateway.methods._method import read_params
from beamclaw.gateway.methods.exec_policy import SetParams, taken_back, wanted
from supervision import ChildSpec
from tests.beamclaw.gateway.edge import running
from tests.beamclaw.gateway.socket.talk import connected

GRANT = Grant(tool="exec", pattern="/bin/ls", words="ls -l")
ROWS = [
    GrantRow(id=1, agent="main", grant=GRANT, at=5.0, by="anna", wait_id="w"),
    GrantRow(id=2, agent="main", grant=GRANT, at=6.0, by="anna", wait_id="v"),
]
NOW = ExecConfig(mode="on-miss", allow=("/usr/bin/git status",))
LINES = {"allowlist": [{"pattern": "/usr/bin/git status"}]}


class Ledger(supervision.Server):
    def __init__(self, rows: list[GrantRow]) -> None:
        self.rows = rows

    async def handle_call(self, request, sender):
        if isinstance(request, RevokeGrant):
            self.rows[:] = [row for row in self.rows if row.id != request.id]
            return True
        return () if isinstance(request, ReadWaits) else tuple(self.rows)


def policy(**file):
    given = {"file": {"version": 1, "agents": {"*": LINES}, **file}}
    return read_params("exec.approvals.set", given, SetParams).file


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ({}, {}),
        ({"defaults": {"security": "full", "ask": "off"}}, {"mode": "off"}),
        ({"defaults": {"ask": "always"}}, {"mode": "always"}),
        ({"agents": {}}, {"allow": []}),
        (
            {"agents": {"*": {"allowlist": [{"pattern": "/bin/x *"}]}}},
            {"allow": ["/bin/x *"]},
        ),
    ],
)
def test_what_is_to_be_different(file, changes):
    assert wanted(NOW, policy(**file)) == changes


@pytest.mark.parametrize(
    "file",
    [
        {"version": 2},
        {"socket": {"path": "/x"}},
        {"defaults": {"security": "deny"}},
        {"defaults": {"askFallback": "full"}},
        {"defaults": {"autoAllowSkills": True}},
        {"agents": {"main": {"security": "full"}}},
        {"agents": {"*": {"allowlist": [{"pattern": "/x", "argPattern": "y"}]}}},
    ],
)
def test_what_there_is_not_is_refused(file):
    with pytest.raises(MethodError):
        wanted(NOW, policy(**file))


def test_what_is_in_no_list_any_more_is_taken_back():
    kept = {"main": {"allowlist": [{"id": "2", "pattern": "/bin/ls"}]}}
    assert taken_back(ROWS, policy(agents=kept)) == [ROWS[0]]
    assert taken_back(ROWS, policy()) == ROWS


@pytest.mark.parametrize("entry", [{"pattern": "/x"}, {"id": "9", "pattern": "/x"}])
def test_nothing_is_allowed_for_good_that_nobody_was_asked_for(entry):
    with pytest.raises(MethodError, match="answer to a question"):
        taken_back(ROWS, policy(agents={"main": {"allowlist": [entry]}}))


async def test_the_document_is_read_changed_and_told(tmp_path):
    file = tmp_path / "beamclaw.yaml"
    file.write_text("# kept\nagents: {main: {model: demo}}\n")
    config = Config(data=tmp_path, file=file)
    outside = Outside(worker=InlineWorker, wall=lambda: 1_800_000_000.0)
    writer = partial(ConfigServer, Current(config), carrier.LocalBus(), outside)
    rows = [attrs.evolve(row) for row in ROWS]
    beside = [
        ChildSpec("config", writer, name="config"),
        ChildSpec("rows", partial(Ledger, rows), name="default/ledger"),
    ]
    async with (
        running(tenant_up=False, beside=beside) as node,
        connected(node.port) as talk,
        connected(node.port, scopes=["operator.approvals"]) as other,
    ):
        shown = (await talk.call("exec.approvals.get"))["payload"]
        assert shown["resolvedDefaults"]["ask"] == "on-miss"
        ids = [each["id"] for each in shown["file"]["agents"]["main"]["allowlist"]]
        assert ids == ["1", "2"]

        changed = shown["file"] | {"defaults": {"ask": "always"}}
        del changed["agents"]["main"]["allowlist"][0]
        stale = await talk.call("exec.approvals.set", {"file": changed})
        assert stale["error"]["details"]["code"] == "CONFIG_BASE_REQUIRED"
        given = {"file": changed, "baseHash": shown["hash"]}
        after = (await talk.call("exec.approvals.set", given))["payload"]
        assert after["holds"] == "now"
        assert [row.id for row in rows] == [2]
        again = await talk.call("exec.approvals.set", given)
        assert again["error"]["details"]["code"] == "CONFIG_STALE"
        for method in ("exec.approvals.get", "exec.approvals.set"):
            error = (await other.call(method, {"file": {"version": 1}}))["error"]
            assert error["details"]["missingScope"] == "operator.admin"
    written = yaml.safe_load(file.read_text())
    assert written["tools"] == {"exec": {"mode": "always"}}
    assert "# kept" in file.read_text()
