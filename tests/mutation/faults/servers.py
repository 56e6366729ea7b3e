"""Faults of starting, of servers, of calls, and of looking into them."""

from tests.mutation.fault import Fault

FAULTS = (
    # --- D. starting
    Fault(
        "ignore-is-a-failure",
        "_server.py",
        "    elif isinstance(first, Ignore):\n        process.ignore()\n",
        "    elif isinstance(first, Ignore):\n",
        "a server whose init chose not to run has failed to start",
        ("28", "37"),
        by_erlang=True,
    ),
    Fault(
        "init-may-return-anything",
        "_server.py",
        '        raise BadReturn("init", first)\n',
        "        first = None\n",
        "what init returns is not looked at",
        ("28",),
        by_erlang=True,
    ),
    Fault(
        "failed-start-tells-no-link",
        "_life.py",
        "        if self.links is not None:\n            self._end_links(reason)",
        "        if self.links is not None and self.status is not STARTING:\n"
        "            self._end_links(reason)",
        "who is linked to a process does not learn that its start failed",
        ("30",),
    ),
    Fault(
        "impatience-kills",
        "_dynamic_supervisor.py",
        "            slot = await self._wait(child)\n",
        """\
            try:
                slot = await self._wait(child)
            except BaseException:
                process.kill()
                raise
""",
        "who stops waiting for a start kills the child",
        ("31",),
    ),
    Fault(
        "parent-is-the-home",
        "_life.py",
        "        self.parent_pid: Pid = parent_pid",
        "        self.parent_pid: Pid = home.pid",
        "a child takes the root of the tree for its parent, not its supervisor",
        ("32", "61", "75"),
        by_erlang=True,
    ),
    # --- J. servers
    Fault(
        "parents-exit-is-a-message",
        "_server.py",
        """\
        if self._is_parents_exit(message):
            raise Stopping(cast("Exit", message).reason, None)
        try:
""",
        "        try:\n",
        "handle_info gets the exit signal of the parent",
        ("75",),
        by_erlang=True,
    ),
    Fault(
        "every-exit-is-the-parents",
        "_server.py",
        "        return isinstance(message, Exit) and message.pid is self._process.parent_pid",
        "        return isinstance(message, Exit)",
        "a server that traps exits ends with whoever is linked to it",
        ("75",),
        by_erlang=True,
    ),
    Fault(
        "no-terminate-after-a-crash",
        "_ending.py",
        "    return Crash(cause)",
        "    return None",
        "terminate does not run when a callback raises",
        ("76",),
        by_erlang=True,
    ),
    Fault(
        "terminate-after-a-signal",
        "_ending.py",
        "    if process.reason is not None or isinstance(error, GeneratorExit):\n"
        "        return None\n",
        "    if process.reason is not None or isinstance(error, GeneratorExit):\n"
        "        return process.reason\n",
        "terminate runs after a kill and after a signal that is not trapped",
        ("76",),
        by_erlang=True,
    ),
    Fault(
        "terminate-fails-in-silence",
        "_ending.py",
        "            process.reason = None\n        raise",
        "            pass\n        raise",
        "what terminate raises does not become the reason",
        ("76",),
        by_erlang=True,
    ),
    Fault(
        "call-has-no-reason",
        "_life.py",
        "                call.settle(From.DIED, reason)",
        "                call.settle(From.DIED, NORMAL)",
        "whoever waits for a server that crashes is told that it ended normally",
        ("77", "79"),
        by_erlang=True,
    ),
    Fault(
        "call-nobody-times-out",
        "_calls.py",
        "    if server is None:\n        raise NoProcess(dest)\n    task",
        "    if server is None:\n        raise CallTimeout(dest, timeout)\n    task",
        "a call to nobody fails as if it had taken too long",
        ("77",),
        by_erlang=True,
    ),
    Fault(
        "time-out-ends-the-server",
        "_signals.py",
        "        self.settle(From.EXPIRED, None)",
        "        self.settle(From.EXPIRED, None)\n        self.server.kill()",
        "a call that times out kills the server",
        ("78",),
        by_erlang=True,
    ),
    Fault(
        "normal-end-is-a-reply",
        "_calls.py",
        "    if slot.state == From.DIED:\n",
        "    if slot.state == From.DIED and slot.result == NORMAL:\n"
        "        return None\n"
        "    if slot.state == From.DIED:\n",
        "a call to a server that ends normally returns None",
        ("79",),
        by_erlang=True,
    ),
    Fault(
        "reply-before-terminate",
        "_server.py",
        "        if isinstance(error, Stopping):\n",
        "        if isinstance(error, Stopping):\n"
        "            if error.after is not None:\n"
        "                error.after()\n",
        "the reply of a Stop is sent before terminate has run",
        ("80",),
    ),
    Fault(
        "failed-terminate-loses-the-reply",
        "_ending.py",
        "        if after is not None and not killed:\n            after()",
        "        if after is not None and not killed and process.reason is not None:\n"
        "            after()",
        "the reply of a Stop is lost when terminate fails",
        ("80",),
        by_erlang=True,
    ),
    Fault(
        "cast-to-nobody-raises",
        "_calls.py",
        "    if server is not None:\n        server.deliver(Cast(message))",
        "    if server is None:\n"
        "        raise NoProcess(dest)\n"
        "    server.deliver(Cast(message))",
        "a cast to nobody fails",
        ("81",),
    ),
    Fault(
        "unknown-message-crashes",
        "_server.py",
        "            report_dropped(self._process, message)\n",
        "            raise\n",
        "a message that nobody handles ends the server",
        ("81",),
    ),
    Fault(
        "cast-does-not-cancel",
        "_server.py",
        """\
                    self._timeout = None
                    self.take(await server.handle_cast""",
        """\
                    self.take(await server.handle_cast""",
        "the time-out of a server runs on when a cast comes",
        ("82",),
    ),
    Fault(
        "continuation-waits",
        "_server.py",
        """\
                mailbox = process.mailbox
                if self._todo is not None:
""",
        """\
                mailbox = process.mailbox
                if self._todo is not None and not mailbox:
""",
        "handle_continue runs after the messages that wait",
        ("82",),
    ),
    Fault(
        "any-result-will-do",
        "_server.py",
        "        else:\n            raise BadReturn(callback, result)",
        "        else:\n            return",
        "what handle_cast and handle_info return is not looked at",
        ("83",),
        by_erlang=True,
    ),
    Fault(
        "bad-reply-is-none",
        "_server.py",
        '                raise BadReturn("handle_call", result)',
        "                self._reply(sender, None)",
        "what is no result of handle_call is the reply None",
        ("83",),
        by_erlang=True,
    ),
    Fault(
        "second-reply-counts",
        "_signals.py",
        "        task = self.task\n        if task is None:\n            return\n",
        "        task = self.task\n"
        "        if task is None:\n"
        "            self.result = result\n"
        "            return\n",
        "a second reply replaces the first one while the caller is on its way",
        ("84",),
        by_erlang=True,
    ),
    Fault(
        "stop-believes-anything",
        "_calls.py",
        "    if down.reason != wanted:\n",
        "    if down.reason is None:\n",
        "stop is content with another reason than the one it gave",
        ("85",),
        by_erlang=True,
    ),
    Fault(
        "stop-is-a-signal",
        "_calls.py",
        "    if process.behaviour is None:\n        process.end(reason)",
        "    if not process.trapping:\n        process.end(reason)",
        "stop ends a server that does not trap exits without its terminate",
        ("85",),
        by_erlang=True,
    ),
    Fault(
        "newest-response-first",
        "_requests.py",
        "        return self._open.pop(self._answered.popleft())",
        "        return self._open.pop(self._answered.pop())",
        "of several responses the newest is received first",
        ("86",),
        by_erlang=True,
    ),
    Fault(
        "second-response-counts",
        "_requests.py",
        "        if self.state != From.WAITING:\n            return\n",
        "        if self.state not in (From.WAITING, From.REPLIED):\n            return\n",
        "a second reply replaces the first one until somebody asks for it",
        ("86",),
        by_erlang=True,
    ),
    Fault(
        "code-changes-at-any-time",
        "_sys.py",
        "        if not process.suspended:\n            raise NotSuspended(dest)\n",
        "",
        "the code of a behaviour that is not suspended can be changed",
        ("87", "T21"),
    ),
    # --- L. looking in
    Fault(
        "half-a-state",
        "_attributes.py",
        "        _assign(behaviour, before)\n",
        "",
        "a replacement of the state that fails half way leaves half of it",
        ("93",),
    ),
    Fault(
        "suspend-does-nothing",
        "_sys.py",
        "        process.suspended = True",
        "        process.suspended = False",
        "a suspended behaviour goes on",
        ("93",),
        by_erlang=True,
    ),
    Fault(
        "suspended-supervisor-works",
        "_engine.py",
        "        if not process.suspended:\n            return True, mailbox.popleft()",
        "        if process.suspended or True:\n            return True, mailbox.popleft()",
        "a suspended supervisor restarts its children",
        ("93",),
        by_erlang=True,
    ),
    Fault(
        "suspended-server-is-deaf",
        "_server.py",
        "isinstance(message, SystemMessage) or self._is_parents_exit(message)",
        "isinstance(message, SystemMessage)",
        "a suspended server does not end with its parent",
        ("93",),
        by_erlang=True,
    ),
    Fault(
        "everybody-is-watched",
        "_server.py",
        """\
                    message = mailbox.popleft()
                elif self._timeout""",
        """\
                    message = mailbox.popleft()
                    if process.debug is not None:
                        process.debug("in", message)
                elif self._timeout""",
        "each message costs a look at who watches",
        ("94",),
    ),
)
