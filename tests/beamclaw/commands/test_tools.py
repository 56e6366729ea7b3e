"""The tools exec and process, with real commands."""
# ruff: noqa: ASYNC110 -- other processes are looked at

import sys
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

import supervision
from beamclaw import commands
from beamclaw.commands.messages import CommandOver, NoteCommand
from beamclaw.contracts.approvals import Ask, Clear, Deny
from beamclaw.contracts.command_policy import CommandPolicy, Rule
from beamclaw.contracts.outside import InlineWorker
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.paths import Roots
from tests.beamclaw.commands.conftest import alive, opened

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp"}
SESSION = "agent:main:main"
OFF = CommandPolicy(mode="off")


class Notices(supervision.Server):
    """In the place of who tells sessions of their commands."""

    def __init__(self):
        self.noted = []
        self.told = []

    async def handle_call(self, request, sender):
        assert isinstance(request, NoteCommand)
        self.noted.append(request)

    async def handle_cast(self, message):
        assert isinstance(message, CommandOver)
        self.told.append(message)


@attrs.define
class Bench:
    """An agent with its tools."""

    workspace: Path
    notices: Notices
    policy: CommandPolicy = OFF
    options: dict = attrs.field(factory=dict)
    calls: int = 0

    def tool(self, name):
        setting = commands.Setting(
            tenant="default",
            agent="main",
            roots=Roots(workspace=self.workspace),
            policy=self.policy,
            env=ENV,
            worker=InlineWorker(),
            **self.options,
        )
        return {tool.spec.name: tool for tool in commands.tools(setting)}[name]

    def order(self, name, arguments, **more):
        self.calls += 1
        known = {
            "tenant": "default",
            "session_key": SESSION,
            "run_id": "r",
            "call_id": f"c{self.calls}",
            "tool": name,
            "arguments": arguments,
            "key": f"r/c{self.calls}",
        }
        return Order(**{**known, **more})

    async def call(self, name, /, session_key=SESSION, **arguments) -> Output:
        """One call, in a process of its own, as in a node."""
        order = self.order(name, arguments, session_key=session_key)
        results = []

        async def work():
            try:
                results.append(await self.tool(name).run(order))
            except ToolFailed as failed:
                results.append(failed)

        supervision.spawn_monitor(work)
        await supervision.receive(lambda m: isinstance(m, supervision.Down))
        (result,) = results
        if isinstance(result, ToolFailed):
            raise result
        return result

    async def exec(self, command, /, **arguments):
        return await self.call("exec", command=command, **arguments)

    async def process(self, action, id_=None, /, **arguments):
        given = {"action": action, **arguments}
        if id_ is not None:
            given["sessionId"] = id_
        return (await self.call("process", **given)).text

    async def clear(self, name, /, *, tainted=False, **arguments):
        tool = self.tool(name)
        return await tool.clear(self.order(name, arguments, tainted=tainted))

    async def started(self, command, /, **arguments):
        """The id of a command in the background."""
        said = await self.exec(command, background=True, **arguments)
        return said.text.partition("session ")[2].partition(",")[0].partition(".")[0]


def in_process(fn):
    """The test is a process: it may receive."""

    async def test(bench, **given):
        failed = []

        async def body():
            try:
                await fn(bench, **given)
            except BaseException as error:
                failed.append(error)
                raise

        task = supervision.spawn(body)
        while supervision.is_alive(task):
            await trio.sleep(0.002)
        if failed:
            raise failed[0]

    test.__name__ = fn.__name__
    return test


@pytest.fixture
async def bench(tmp_path):
    notices = Notices()
    async with opened():
        spec = supervision.ChildSpec("n", lambda: notices, name="default/notices")
        async with supervision.open_supervisor([spec]):
            yield Bench(tmp_path / "workspace", notices)


@in_process
async def test_a_command_that_is_done_at_once(bench):
    assert await bench.exec("echo hello") == Output("hello")
    assert await bench.exec("true") == Output("(no output)")
    assert await bench.exec("false") == Output("(no output)\n\n[exit code 1]")


@in_process
async def test_a_shell_reads_what_only_a_shell_can(bench):
    said = await bench.exec("printf 'b\\na\\n' | sort; echo $((1 + 1))")

    assert said == Output("a\nb\n2")


@in_process
async def test_it_works_in_the_workspace(bench):
    await bench.exec("mkdir -p sub/folder")

    assert (await bench.exec("pwd", workdir="sub")).text.endswith("workspace/sub")
    for outside in ("..", "/", "sub/../..", "nowhere"):
        with pytest.raises(ToolFailed):
            await bench.exec("pwd", workdir=outside)


@in_process
async def test_it_finds_little_in_its_environment(bench):
    said = await bench.exec("env", env={"CITY": "Oslo"})
    found = dict(line.split("=", 1) for line in said.text.splitlines())

    assert found.keys() == {
        *("PATH", "HOME", "PWD", "TERM", "CITY", "OPENCLAW_SHELL", "BEAMCLAW_SHELL"),
    }
    assert found["CITY"] == "Oslo"


@in_process
async def test_its_time_is_limited(bench):
    said = await bench.exec("sleep 100", timeout=0.1)

    assert said.is_error
    assert said.text == ("(no output)\n\n[ended: its time was over (signal SIGTERM)]")


@in_process
async def test_what_it_leaves_behind_is_ended_and_told(bench):
    said = await bench.exec("sleep 100 & echo $!")
    pid, told = said.text.split("\n\n")

    assert not alive(int(pid))
    assert told == "[exit code 0; 1 process that it had left behind were ended]"


@in_process
async def test_a_call_that_dies_takes_its_command_along(bench):
    order = bench.order("exec", {"command": "sh -c 'echo $$ > pid; sleep 100'"})
    call = supervision.spawn(bench.tool("exec").run, order)
    file = bench.workspace / "pid"
    while not (file.exists() and file.read_text().endswith("\n")):
        await trio.sleep(0.01)
    pid = int(file.read_text())
    supervision.exit(call, supervision.KILL)

    while alive(pid):
        await trio.sleep(0.01)


@pytest.mark.slow
@in_process
async def test_it_goes_on_in_the_background(bench):
    script = "echo one; until [ -e go ]; do sleep 0.02; done; echo two"
    said = await bench.exec(f"sh -c '{script}'", yieldMs=1500)
    id_ = bench.notices.noted[0].id

    assert "goes on in the background" in said.text
    assert said.text.endswith("So far:\none")
    assert bench.notices.noted == [
        NoteCommand(
            id=id_, session_key=SESSION, agent="main", title=f"sh -c '{script}'"
        )
    ]
    (bench.workspace / "go").touch()
    while not bench.notices.told:
        await trio.sleep(0.01)
    (over,) = bench.notices.told
    assert (over.id, over.view.ended.code, over.tail) == (id_, 0, "one\ntwo\n")
    assert await bench.process("poll", id_) == "two\n\n[exit code 0]"
    assert await bench.process("log", id_) == "one\ntwo"


@in_process
async def test_what_there_is_in_the_background(bench):
    assert await bench.process("list") == "There are no commands, running or over."
    one = await bench.started("sleep 100")

    assert f"{one}  running" in await bench.process("list")
    assert (await bench.process("poll", one)).startswith("(nothing new)\n\n[it runs")
    assert await bench.process("kill", one) == (
        f"{one}: ended by order (signal SIGTERM)"
    )
    assert f"{one}  over" in await bench.process("list")
    assert await bench.process("clear", one) == f"{one}: forgotten"
    assert await bench.process("list") == "There are no commands, running or over."


@in_process
async def test_a_command_that_runs_is_removed_but_not_cleared(bench):
    one = await bench.started("sleep 100")
    with pytest.raises(ToolFailed, match="is not over"):
        await bench.process("clear", one)
    await bench.process("remove", one)

    assert await bench.process("list") == "There are no commands, running or over."


@in_process
async def test_another_session_sees_nothing_of_it(bench):
    one = await bench.started("sleep 100")
    other = partial(bench.call, "process", session_key="agent:main:other")

    assert "no commands" in (await other(action="list")).text
    with pytest.raises(ToolFailed, match="there is no command"):
        await other(action="kill", sessionId=one)


@in_process
async def test_it_is_written_to(bench):
    one = await bench.started("cat")
    assert await bench.process("write", one, data="hello\n") == "6 bytes written"
    said = await bench.process("poll", one, timeout=5000)
    assert said.startswith("hello\n\n[it runs")
    await bench.process("write", one, data="bye", eof=True)
    while not bench.notices.told:
        await trio.sleep(0.01)

    assert await bench.process("poll", one) == "bye\n\n[exit code 0]"
    with pytest.raises(ToolFailed, match="it is over"):
        await bench.process("write", one, data="more")


@in_process
async def test_an_interactive_program_on_a_terminal(bench):
    program = f"{sys.executable} -I -q"
    one = await bench.started(program, pty=True, env={"CITY": "x"})
    said = ""
    while ">>>" not in said:
        said += await bench.process("poll", one, timeout=1000)
    await bench.process("send-keys", one, literal="6*7", keys=["Enter"])
    while "42" not in said:
        said += await bench.process("poll", one, timeout=1000)
    await bench.process("send-keys", one, keys=["C-d"])
    while not bench.notices.told:
        await trio.sleep(0.01)

    assert bench.notices.told[0].view.ended.code == 0


@in_process
async def test_keys_end_what_runs_on_a_terminal(bench):
    one = await bench.started("sleep 100", pty=True)
    await bench.process("send-keys", one, keys=["C-c"])
    while not bench.notices.told:
        await trio.sleep(0.01)

    assert bench.notices.told[0].view.ended.signal == 2


@in_process
async def test_the_tail_of_much_output_is_kept(bench):
    said = await bench.exec("seq 1 100000")

    assert said.text.startswith("[the first 388895 characters are not kept]\n")
    assert said.text.endswith("\n100000")


@in_process
async def test_input_that_nobody_reads_is_refused_at_some_point(bench):
    one = await bench.started("sleep 100")
    with pytest.raises(ToolFailed, match="wait already"):
        for _ in range(20):
            await bench.process("write", one, data="x" * 100_000)


# --- leave


@in_process
async def test_who_is_asked_by_the_policy(bench):
    bench.policy = CommandPolicy(mode="always")
    asked = await bench.clear("exec", command="echo hello")

    assert isinstance(asked, Ask)
    assert asked.details["command"] == "echo hello"
    bench.policy = CommandPolicy(mode="off")
    assert await bench.clear("exec", command="echo hello") == Clear()
    assert isinstance(await bench.clear("exec", command="ls", tainted=True), Ask)


@in_process
async def test_what_is_agreed_to_is_what_is_run(bench):
    bench.policy = CommandPolicy(mode="always")
    bench.workspace.mkdir()
    script = bench.workspace / "report.sh"
    script.write_text("#!/bin/sh\necho good\n")
    script.chmod(0o700)
    for command in ("./report.sh", "sh report.sh"):
        script.write_text("#!/bin/sh\necho good\n")
        asked = await bench.clear("exec", command=command)
        script.write_text("#!/bin/sh\necho evil\n")
        order = bench.order("exec", {"command": command}, approved=asked.digest)
        with pytest.raises(ToolFailed, match="has changed"):
            await bench.tool("exec").run(order)


@in_process
async def test_what_cannot_be_is_denied_before_anybody_is_asked(bench):
    bench.policy = CommandPolicy(mode="always")
    for arguments in (
        {"command": "nosuchprogram"},
        {"command": ""},
        {"command": "ls", "workdir": "/"},
        {"command": "ls", "env": {"LD_PRELOAD": "x.so"}},
    ):
        assert isinstance(await bench.clear("exec", **arguments), Deny), arguments


@in_process
async def test_what_an_interpreter_reads_is_asked_for_like_a_command(bench):
    bench.policy = CommandPolicy(mode="off")
    shell = await bench.started("sh", pty=True)
    filter_ = await bench.started("cat")
    bench.policy = CommandPolicy(rules=(Rule("/usr/bin/cat", ()),))

    given = {"action": "submit", "data": "rm -rf ."}
    asked = await bench.clear("process", sessionId=shell, **given)
    assert isinstance(asked, Ask)
    assert asked.question == "run: sh  <<< 'rm -rf .\\r'"
    assert await bench.clear("process", sessionId=filter_, **given) == Clear()
    tainted = await bench.clear("process", sessionId=filter_, **given, tainted=True)
    assert isinstance(tainted, Ask)
    assert await bench.clear("process", action="poll", sessionId=shell) == Clear()
