"""A page is read in a sandbox where there is one: with no file, no network, no neighbour."""

import pytest
import trio

from beamclaw.config.schema import WebConfig
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tools import Order
from beamclaw.toolkit import tools_of
from beamclaw.web import reading
from beamclaw.web.tools import WebTools
from tests.beamclaw.commands.test_run import in_process
from tests.beamclaw.sandbox.conftest import SMALL, Bench, config_of, needs_linux, opened
from tests.beamclaw.web import stage
from tests.beamclaw.web.stage import answer

LOOK = """
import json, os, socket, sys
sys.stdin.buffer.read()
said = {'files': os.path.exists(%r)}
try:
    socket.create_connection(('127.0.0.1', %d), timeout=2)
    said['network'] = True
except OSError:
    said['network'] = False
print(json.dumps({'title': '', 'text': json.dumps(said), 'cut': False}))
"""


async def fetch(net, bench):
    made = WebTools("default", WebConfig(), Outside(), net, bench.sandbox())
    (tool,) = tools_of(made)
    order = Order(
        tenant="default",
        session_key="main",
        run_id="r",
        call_id="c",
        tool="web_fetch",
        arguments={"url": "http://page.example/"},
        key="k",
    )
    return await in_process(lambda: tool.run(order))


@needs_linux
@pytest.mark.parametrize("looks", [False, True])
async def test_what_reads_a_page_sees_nothing_else(looks, tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    bench.workspace.mkdir(parents=True)
    (bench.workspace / "secret").write_text("x")
    async with opened(config_of(SMALL, bench.data)), stage.opened() as net:
        machine = await bench.sandbox()._machine()
        if not machine.bubblewrap:
            pytest.skip(machine.why)
        if looks:
            program = trio.Path(tmp_path) / "reader.py"
            await program.write_text(LOOK % (str(bench.workspace / "secret"), net.port))
            monkeypatch.setattr(reading, "PROGRAM", program)
            need = reading._NEED
            readable = (*need.readable, str(program))
            monkeypatch.setattr(
                reading,
                "_NEED",
                type(need)(
                    trust="untrusted", readable=readable, network=False, ours=True
                ),
            )
        net.pages["/"] = answer(b"<p>Hi there")
        output = await fetch(net, bench)

    if looks:
        assert '{"files": false, "network": false}' in output.text
    else:
        assert "\nHi there\n" in output.text
