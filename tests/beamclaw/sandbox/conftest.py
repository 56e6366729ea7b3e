"""Commands of an agent in its sandbox, with a real launcher and a real bubblewrap."""

import sys
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest

import supervision
from beamclaw import commands, sandbox
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts import names
from beamclaw.contracts.approvals import ReadGrants
from beamclaw.contracts.commands import Launch
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.sandbox import GetMachine, Need
from tests.beamclaw.commands.test_run import ran

MIB = 1024 * 1024
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
# With limits that a test reaches soon.
SMALL = SandboxConfig(
    memory=128 * MIB, processes=32, disk=4 * MIB, disk_spare=1, tmp=2 * MIB
)


def config_of(policy, data):
    config = Config(data=data)
    exec_ = attrs.evolve(config.tools.exec, sandbox=policy)
    return attrs.evolve(config, tools=attrs.evolve(config.tools, exec=exec_))


@attrs.define
class Bench:
    """A node's data folder, an agent's workspace in it, and a home."""

    top: Path
    policy: SandboxConfig = SMALL
    without_cgroups: bool = False

    @property
    def data(self):
        return self.top / "home" / ".beamclaw"

    @property
    def home(self):
        return self.top / "home"

    @property
    def workspace(self):
        return self.data / "workspace"

    def sandbox(self):
        return sandbox.AgentSandbox(
            tenant="default",
            policy=self.policy,
            worker=InlineWorker(),
            closed=(str(self.data),),
            home=str(self.home),
        )

    async def run(self, launch, trust="untrusted", *, seconds=20.0, **need):
        """What becomes of a command in the sandbox."""
        asked = {"trust": trust, "writable": (str(self.workspace),), **need}
        box = self.sandbox()
        if self.without_cgroups:
            machine = attrs.evolve(await known(), cgroups=())
            box = attrs.evolve(box, machine=machine)
        wrapped = await box.wrap(launch, Need(**asked))
        return await ran("default", wrapped, seconds=seconds)

    async def sh(self, script, trust="untrusted", **options):
        return await self.run(shell(script, self.workspace), trust, **options)

    async def says(self, script, trust="untrusted", **options):
        found = await self.sh(script, trust, **options)
        return found.output.decode("utf-8", "replace")


async def known():
    return await supervision.call("default/sandbox", GetMachine(), timeout=None)


def shell(script, folder, **options):
    return Launch(argv=("/bin/sh", "-c", script), cwd=str(folder), env=ENV, **options)


def python(script, folder):
    """With the system's: ours may be where the sandbox has nothing."""
    argv = ("/usr/bin/python3", "-I", "-S", "-c", script)
    return Launch(argv=argv, cwd=str(folder), env=ENV)


class Grants(supervision.Server):
    """In the ledger's place: nothing was ever granted."""

    async def handle_call(self, request, sender):
        assert isinstance(request, ReadGrants)
        return ()


@asynccontextmanager
async def opened(config, outside=None):
    outside = outside or Outside(worker=InlineWorker)
    start = partial(
        commands.supervisor,
        "default",
        commands.Settings(kill_seconds=0.5),
        outside,
        supervision.ChildSpec(
            "sandbox",
            partial(sandbox.SandboxServer, "default", Current(config), outside),
            name=names.of_tenant("default", "sandbox"),
        ),
    )
    spec = supervision.ChildSpec("commands", start, type="supervisor", shutdown=None)
    ledger = supervision.ChildSpec("ledger", Grants, name="default/ledger")
    async with supervision.open_supervisor([ledger, spec]):
        yield


@pytest.fixture
def tmp_path():
    """A folder on a disk: what is below /dev is of the machine, and in no sandbox."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
async def bench(tmp_path):
    made = Bench(tmp_path)
    made.workspace.mkdir(parents=True)
    async with opened(config_of(SMALL, made.data)):
        yield made


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
