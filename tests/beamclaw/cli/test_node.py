"""The commands against a real node, as processes, the way people use them."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import time

import pytest
import trio

from tests.support.node import ROOT, Node, NodeFailed, clean, open_node

pytestmark = pytest.mark.slow
CANARY = "canary-5f1c9a7e-and-longer"
SLOW = "providers: {demo: {delay: 0.15}}\n"


@pytest.fixture
async def node(tmp_path):
    async with open_node(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def slow_node(tmp_path):
    file = tmp_path / "slow.yaml"
    file.write_text(SLOW)
    options = ["--config", str(file)]
    async with open_node(tmp_path / "data", options=options) as running:
        yield running


class Terminal:
    """A command on a terminal of its own."""

    # This terminal does not answer where its cursor is.
    ENVIRONMENT = {  # noqa: RUF012 -- a constant
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }

    def __init__(self, node, *arguments):
        self._main, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 30, 80, 0, 0))
        self.seen = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "beamclaw", *arguments, "--data", str(node.data)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=ROOT,
            env={**node.environment, **self.ENVIRONMENT},
            preexec_fn=self._own_terminal,  # noqa: PLW1509 -- no thread has a lock here
        )
        os.close(inner)

    @staticmethod
    def _own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def write(self, text):
        os.write(self._main, text.encode())

    async def until(self, pattern, *, within=20.0):
        """Read until *pattern* is there; what was read up to its end."""
        return await trio.to_thread.run_sync(self._until, pattern, within)

    def _until(self, pattern, within):
        deadline = time.monotonic() + within
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.seen!r}"
            if select.select([self._main], [], [], left)[0]:
                try:
                    data = os.read(self._main, 4096)
                except OSError:  # the command has closed its side
                    data = b""
                assert data, f"it ended without {pattern!r}: {self.seen!r}"
                self.seen += data.decode("utf-8", "replace")
        read, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return read

    async def wait(self):
        """Its exit code."""
        return await trio.to_thread.run_sync(self._wait)

    def _wait(self):
        with contextlib.suppress(OSError):
            while select.select([self._main], [], [], 10)[0]:
                data = os.read(self._main, 4096)
                if not data:
                    break
                self.seen += data.decode("utf-8", "replace")
        return self._process.wait(10)

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._main)


@contextlib.contextmanager
def terminal(node, *arguments):
    one = Terminal(node, *arguments)
    try:
        yield one
    finally:
        one.close()


async def piped(node, text, *arguments):
    done = await trio.run_process(
        [sys.executable, "-m", "beamclaw", *arguments, "--data", str(node.data)],
        stdin=text.encode(),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=ROOT,
        env=node.environment,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# --- one shot


async def test_a_message_is_answered_on_standard_output_only(node):
    done = await node.command("chat", "hello", "there")
    assert done.code == 0
    assert done.out.startswith("You said: hello there")
    assert done.out.endswith("\n")
    assert done.err == ""


async def test_standard_input_is_the_message(node):
    code, out, _ = await piped(node, "from a\npipe\n", "chat")
    assert code == 0
    assert "pipe" in out


async def test_nothing_to_send_is_wrong_usage(node):
    code, out, err = await piped(node, " \n", "chat")
    assert (code, out) == (2, "")
    assert "there is nothing to send" in err


async def test_json_prints_every_event(node):
    done = await node.command("chat", "--json", "hello")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[0]["type"] == "Accepted"
    assert events[-1]["type"] == "RunEnded"
    text = "".join(e["text"] for e in events if e["type"] == "Delta")
    assert text == events[-1]["text"]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--agent", "nobody"], "there is no agent 'nobody'; agents: main"),
        (["--model", "gpt"], "names no configured provider"),
        (["--session", "a b"], "a session key consists of"),
    ],
)
async def test_what_the_node_refuses_is_told(node, options, words):
    done = await node.command("chat", "hello", *options)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


async def test_an_error_of_the_turn_is_told_and_the_code_says_so(tmp_path):
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    free.close()
    env = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": CANARY}
    file = tmp_path / "b.yaml"
    file.write_text("providers: {openai: {max_attempts: 1}}")
    options = ["--config", str(file)]
    async with open_node(tmp_path / "data", env=env, options=options) as node:
        done = await node.command("chat", "hello")
        assert done.code == 1
        assert done.out == ""
        assert done.err.startswith("error: ")
        assert "OPENAI_BASE_URL" in done.err


async def test_ctrl_c_stops_the_turn_and_keeps_its_text(slow_node):
    with terminal(slow_node, "chat", "hello") as one:
        await one.until("You said")
        one.write("\x03")
        await one.until(r"\[stopped\]")
        assert await one.wait() == 130
    done = await slow_node.command("status", "--json")
    figures = json.loads(done.out)["tenants"]["default"]["sessions"]
    assert figures["running"] == 0


async def test_a_node_that_dies_in_the_middle_of_an_answer(slow_node):
    with terminal(slow_node, "chat", "hello") as one:
        await one.until("You said")
        slow_node.kill9()
        await slow_node.wait()
        await one.until("reconnecting")
        await slow_node.start()
        # What was shown is taken back, and the whole answer comes.
        await one.until(r"\x1b\[\dA\r\x1b\[J")
        await one.until(r"You said: hello.*again\.\r\n", within=30)
        assert await one.wait() == 0


async def test_the_same_without_a_terminal(slow_node):
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "beamclaw", "chat", "hi", "--data", str(slow_node.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=slow_node.environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    out = b""
    while b"said" not in out:
        out += await process.stdout.receive_some()
    slow_node.kill9()
    await slow_node.wait()
    await slow_node.start()
    while data := await process.stdout.receive_some():
        out += data
    assert await process.wait() == 0
    assert (await process.stderr.receive_some()).decode() == "reconnecting\n"
    whole = out.decode().split("--- the answer begins again ---\n")[-1]
    assert whole.startswith("You said: hi")
    assert whole.endswith("again.\n")
    await process.stdout.aclose()
    await process.stderr.aclose()


# --- a conversation


async def test_a_conversation_on_a_terminal(slow_node):
    with terminal(slow_node, "chat") as one:
        await one.until(">")
        one.write("hello\r")
        await one.until("You said")
        one.write("\x03")
        await one.until(r"\[stopped\]")
        await one.until(">")
        one.write("\x03")
        await one.until("Ctrl-C again or Ctrl-D leaves")
        await one.until(">")
        one.write("\x04")
        assert await one.wait() == 0


async def test_waiting_longer_than_a_second_says_for_what(tmp_path):
    file = tmp_path / "b.yaml"
    file.write_text("providers: {demo: {delay: 30}}")
    options = ["--config", str(file)]
    async with open_node(tmp_path / "data", options=options) as node:
        with terminal(node, "chat", "one") as first:
            await first.until(r"waiting for \w+ ?.*\(\d+ s")
            with terminal(node, "chat", "two") as second:
                await second.until("waiting for an earlier message")


# --- looking


async def test_status_and_tree(node):
    status = await node.command("status")
    assert status.code == 0
    assert f"pid {node.pid}" in status.out
    assert node.base_url in status.out
    assert "demo/demo (there is no ANTHROPIC_API_KEY" in status.out
    assert "of $50.00" in status.out
    assert "limits.day.cost" in status.out
    usage = await node.command("usage", "--by", "model", "--json")
    assert usage.code == 0
    assert isinstance(json.loads(usage.out), list)
    assert (await node.command("usage", "--since", "2026-01-01")).code == 0
    wrong = await node.command("usage", "--since", "ever")
    assert wrong.code == 2
    tree = await node.command("tree")
    assert tree.code == 0
    for name in ("shell", "telemetry", "ledger", "sessions", "gateway"):
        assert re.search(rf"[├└]─ {name} ", tree.out)
    both = await node.command("status", "--json"), await node.command("tree", "--json")
    assert json.loads(both[0].out)["pid"] == node.pid
    assert json.loads(both[1].out)["kind"] == "supervisor"


SAYS_MUCH = """
providers: {{demo: {{delay: 0, script: {script}}}}}
tools: {{max_result: 1000, max_kept: 20000}}
"""
SCRIPT = """
- match: read
  calls: [[{tool: read, arguments: {path: long.txt}}]]
  reply: done
"""


async def test_what_a_tool_said_at_length_goes_into_a_file_as_it_was(tmp_path):
    file, script = tmp_path / "b.yaml", tmp_path / "script.yaml"
    file.write_text(SAYS_MUCH.format(script=script))
    script.write_text(SCRIPT)
    options = ["--config", str(file)]
    async with open_node(tmp_path / "data", options=options) as node:
        workspace = node.data / "workspace"
        workspace.mkdir(exist_ok=True)
        (workspace / "long.txt").write_text("".join(f"{n} ä\n" for n in range(1_500)))
        assert (await node.command("chat", "read")).out.startswith("done")
        history = (await node.command("sessions", "history", "main")).out
        (id_,) = re.findall(r"beamclaw sessions output (\S+)\]", history)
        done = await node.command("sessions", "output", id_)
        assert (done.code, done.err) == (0, "")
        assert "\n1499 ä\n" in f"\n{done.out}\n"
        rows = (await node.command("sessions", "output", id_, "--json")).out
        pieces = [json.loads(line) for line in rows.splitlines()]
        assert "".join(piece["text"] for piece in pieces) == done.out
        gone = await node.command("sessions", "output", "no/call")
        assert gone.code == 1
        assert "no output no/call is kept" in gone.err


# --- run


async def test_a_token_is_made_kept_and_never_printed(tmp_path):
    async with open_node(tmp_path / "data", token="") as node:
        token = (node.data / "token").read_text().strip()
        assert (await node.get("/v1/models")).status == 401
        node.token = token
        assert (await node.get("/v1/models")).status == 200
        await node.stop()
        assert token not in node.out.decode() + node.stderr()


async def test_on_a_terminal_run_says_where_things_are_and_what_comes_next(tmp_path):
    node = Node(data=tmp_path / "data", token="")
    with terminal(node, "run", "--port", "0") as one:
        await one.until(r"beamclaw ready on http://127\.0\.0\.1:\d+")
        await one.until(f"token   in {re.escape(str(node.data))}/token")
        await one.until("model   demo/demo")
        await one.until(rf"beamclaw chat --data {re.escape(str(node.data))} hello")
        await one.until("beamclaw status")
        await one.until("beamclaw tree")
        one.write("\x03")
        await one.until("stopping")
        assert await one.wait() == 0


async def test_the_first_signal_drains_with_a_count_and_the_second_ends(slow_node):
    with terminal(slow_node, "chat", "hello") as one:
        await one.until("You said")
        slow_node.signal(signal.SIGINT)
        with trio.fail_after(60):
            while "1 open turn" not in slow_node.stderr():  # noqa: ASYNC110 -- a file
                await trio.sleep(0.05)
        slow_node.signal(signal.SIGINT)
        assert await slow_node.wait() == 130
        await one.until("reconnecting")


async def test_a_drain_lets_the_turn_end(slow_node):
    with terminal(slow_node, "chat", "hello") as one:
        await one.until("You said")
        slow_node.terminate()
        await one.until(r"again\.\r\n", within=30)
        assert await one.wait() == 0
    assert await slow_node.wait() == 0


async def refused(node):
    """The exit code and the one sentence of a start that fails."""
    with pytest.raises(NodeFailed, match=r"ended with"):
        await node.start()
    assert "Traceback" not in node.stderr()
    assert node.out == b""
    return await node.wait(), node.stderr()


async def test_a_second_node_on_the_folder(node, tmp_path):
    code, words = await refused(Node(data=node.data))
    assert code == 1
    assert "in use by" in words
    assert (await node.command("status")).code == 0


async def test_a_port_in_use(node, tmp_path):
    port = int(node.base_url.rpartition(":")[2])
    code, words = await refused(Node(data=tmp_path / "other", port=port))
    assert code == 1
    # On a machine with little time for it, its own watchdog may have said so.
    said = [line for line in words.splitlines() if "supervision.loop.lag" not in line]
    assert len(said) == 1
    assert str(port) in said[0]


async def test_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("x")
    code, words = await refused(Node(data=tmp_path / "data"))
    assert code == 1
    assert "a file is in its place" in words


async def test_a_data_folder_from_a_newer_version(tmp_path):
    async with open_node(tmp_path / "data") as node:
        await node.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "node.db")) as db:
        db.execute("PRAGMA user_version = 9999")
    before = (tmp_path / "data" / "node.db").read_bytes()
    code, words = await refused(Node(data=tmp_path / "data"))
    assert code == 1
    assert "newer" in words
    assert (tmp_path / "data" / "node.db").read_bytes() == before


@pytest.mark.parametrize(
    "text, words",
    [
        ("gateway: {port: x", "not valid YAML"),
        ("gateway: {host: 0.0.0.0, auth: {mode: none}}", "none is refused while"),
        ("agents: {main: {model: nope/x}}", "there is no provider 'nope'"),
    ],
)
async def test_a_configuration_that_cannot_be_used(tmp_path, text, words):
    file = tmp_path / "b.yaml"
    file.write_text(text)
    node = Node(data=tmp_path / "data", options=["--config", str(file)])
    code, said = await refused(node)
    assert code == 2
    assert f"error: {file}:1:" in said
    assert words in said
    assert not (tmp_path / "data").exists()


# --- config


async def test_check_and_show(tmp_path):
    file = tmp_path / "b.yaml"
    file.write_text(f"gateway: {{prot: 1, auth: {{token: {CANARY}}}}}")
    env = {"OPENAI_API_KEY": CANARY}

    async def config(*arguments):
        done = await trio.run_process(
            [sys.executable, "-m", "beamclaw", "config", *arguments, "--config", file],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=ROOT,
            env=clean(tmp_path, env),
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert CANARY not in out + err
        return done.returncode, out, err

    warning = f"{file}:1:11: gateway.prot: unknown key; did you mean port?\n"
    assert await config("check") == (0, f"{file}: can be used\n", f"warning: {warning}")
    assert await config("check", "--strict") == (2, "", f"error: {warning}")
    code, out, _ = await config("check", "--json")
    assert (code, json.loads(out)["warnings"][0]["column"]) == (0, 11)
    code, out, err = await config("show")
    assert (code, err) == (0, f"warning: {warning}")
    assert f'    token: "[secret]"  # {file}:1:34' in out
    code, out, _ = await config("show", "--json")
    values = json.loads(out)["values"]
    assert values["providers.openai.api_key"] == {
        "value": "[secret]",
        "from": "environment variable OPENAI_API_KEY",
    }
