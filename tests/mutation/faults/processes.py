"""Faults of processes, links, monitors, mailboxes, names and groups."""

from tests.mutation.fault import Fault

FAULTS = (
    # --- A. processes, links, exit signals
    Fault(
        "exit-is-a-crash",
        "_life.py",
        """\
        ending = fatal(cause)
        reason = cause.reason if isinstance(cause, ProcessExit) else Crash(cause)
""",
        """\
        ending = fatal(cause)
        reason = Crash(cause)
""",
        "exit(R) ends a process with a crash in place of R",
        ("1",),
        by_erlang=True,
    ),
    Fault(
        "crash-is-normal",
        "_life.py",
        "        self.finish(self.reason or reason)\n        if ending is not None:",
        "        self.finish(self.reason or NORMAL)\n        if ending is not None:",
        "a process that raises ends with the reason normal",
        ("1",),
        by_erlang=True,
    ),
    Fault(
        "unlink-one-end",
        "_links.py",
        "        target.links.discard(here)\n",
        "",
        "unlink takes away one end of the link: the other one still tells",
        ("2", "9"),
        by_erlang=True,
    ),
    Fault(
        "normal-spreads",
        "_life.py",
        "        elif not isinstance(reason, Normal):\n            self.end(reason)",
        "        else:\n            self.end(reason)",
        "a normal exit ends whoever is linked",
        ("3", "7"),
        by_erlang=True,
    ),
    Fault(
        "trap-skips-normal",
        "_life.py",
        "        if self.trapping:\n            self.deliver(Exit(sender, reason))",
        "        if self.trapping and not isinstance(reason, Normal):\n"
        "            self.deliver(Exit(sender, reason))",
        "who traps exits is not told of normal ones",
        ("4", "7"),
        by_erlang=True,
    ),
    Fault(
        "kill-keeps-its-name",
        "_links.py",
        "        target.kill()\n",
        "        target.end(as_reason(reason))\n",
        "a killed process ends with kill in place of killed",
        ("5",),
        by_erlang=True,
    ),
    Fault(
        "kill-can-be-trapped",
        "_links.py",
        "    if isinstance(reason, Kill):",
        "    if isinstance(reason, Kill) and not target.trapping:",
        "a process that traps exits survives a kill",
        ("5",),
        by_erlang=True,
    ),
    Fault(
        "own-kill-is-killed",
        "_reasons.py",
        "    return Exited(term)",
        "    return KILLED if isinstance(term, Kill) else Exited(term)",
        "exit(KILL) inside a process is taken for the signal",
        ("6",),
        by_erlang=True,
    ),
    Fault(
        "killed-over-a-link-kills",
        "_life.py",
        "        if self.trapping:\n            self.deliver(Exit(sender, reason))",
        "        if self.trapping and reason is not KILLED:\n"
        "            self.deliver(Exit(sender, reason))",
        "killed over a link cannot be trapped: a kill spreads for ever",
        ("5",),
        by_erlang=True,
    ),
    Fault(
        "exit-self-normal-ignored",
        "_links.py",
        """\
    if here is target and not target.trapping:
        target.end(signalled)
        return
""",
        "",
        "exit(self(), normal) is ignored as one of another process would be",
        ("7",),
        by_erlang=True,
    ),
    Fault(
        "link-to-the-dead-raises-always",
        "_links.py",
        "    elif here.trapping:\n        here.deliver(Exit(pid, NOPROC))\n",
        "",
        "who traps exits gets an exception in place of a message",
        ("8",),
        by_erlang=True,
    ),
    Fault(
        "link-to-the-dead-is-silent",
        "_links.py",
        "    else:\n        raise NoProcess(pid)",
        "    else:\n        return",
        "linking to the dead succeeds without a word",
        ("8",),
        by_erlang=True,
    ),
    Fault(
        "unlink-flushes-nothing",
        "_links.py",
        "isinstance(got, Exit) and got.pid is pid",
        "isinstance(got, Exit) and got.pid is here.pid",
        "unlink with flush leaves the exit message in the mailbox",
        ("9",),
        by_erlang=True,
    ),
    Fault(
        "spawn-runs-at-once",
        "_runtime.py",
        "    start_task(nursery, contextvars.copy_context(), label, process.run, start, args)",
        "    from ._trio_parts import begin_task\n\n"
        "    begin_task(nursery, contextvars.copy_context(), label, process.run, start, args)",
        "a child takes its first step before its link or monitor is there",
        ("10",),
    ),
    Fault(
        "trap-returns-the-new",
        "_links.py",
        "    before, here.trapping = here.trapping, flag",
        "    before = here.trapping = flag",
        "trap_exits returns the new setting",
        ("11",),
        by_erlang=True,
    ),
    Fault(
        "untrap-forgets",
        "_links.py",
        "    return before",
        "    if not flag and here.mailbox is not None:\n"
        "        here.mailbox.discard(lambda got: isinstance(got, Exit))\n"
        "    return before",
        "turning trap_exits off takes away a message that was queued",
        ("11",),
        by_erlang=True,
    ),
    Fault(
        "signal-only-in-receive",
        "_life.py",
        "        if self.nursery is not None or self.waiting >= IN_LOOP:",
        "        if self.nursery is not None or self.waiting != IN_RECEIVE:",
        "a process that waits for anything but a message outlives its signal",
        ("12",),
        by_erlang=True,
    ),
    Fault(
        "unknown-name-is-silent",
        "_process.py",
        "            raise NoSuchName(dest)",
        "            return",
        "sending to a name that nobody holds does nothing",
        ("13",),
        by_erlang=True,
    ),
    # --- B. monitors
    Fault(
        "monitors-do-not-stack",
        "_monitors.py",
        "    ref = Ref(target, watcher, name)\n",
        """\
    for ref in watcher.watching or ():
        if ref.target is target:
            return ref
    ref = Ref(target, watcher, name)
""",
        "a second monitor of the same process is the first one",
        ("14",),
        by_erlang=True,
    ),
    Fault(
        "monitor-fires-twice",
        "_life.py",
        "    watcher.deliver(down)",
        "    watcher.deliver(down)\n    watcher.deliver(down)",
        "one monitor gives two Downs",
        ("14", "15"),
        by_erlang=True,
    ),
    Fault(
        "monitor-of-the-dead-is-silent",
        "_monitors.py",
        "    here.deliver(Down(ref, dest if isinstance(dest, Pid) else None, NOPROC, name))\n",
        "",
        "a monitor of the dead never gives a Down",
        ("15",),
        by_erlang=True,
    ),
    Fault(
        "demonitor-flushes-always",
        "_monitors.py",
        "    if flush and ",
        "    if (flush or True) and ",
        "demonitor removes a queued Down without being asked",
        ("16",),
        by_erlang=True,
    ),
    Fault(
        "demonitor-does-nothing",
        "_monitors.py",
        "    forget(ref)\n",
        "",
        "a monitor that was taken back fires",
        ("16",),
        by_erlang=True,
    ),
    Fault(
        "down-has-another-reason",
        "_life.py",
        "                fire(ref, pid, reason)",
        "                fire(ref, pid, self.reason or NORMAL)",
        "a Down says normal where links see the crash",
        ("17",),
        by_erlang=True,
    ),
    Fault(
        "down-without-the-name",
        "_monitors.py",
        "    name = dest if isinstance(dest, str) else None",
        "    name = None",
        "the Down of a monitor by name does not carry the name",
        ("18",),
        by_erlang=True,
    ),
    Fault(
        "late-reply-reaches-the-mailbox",
        "_signals.py",
        "        task = self.task\n        if task is None:\n            return\n",
        """\
        task = self.task
        if task is None:
            if self.pid is not None and self.pid.process is not None:
                self.pid.process.deliver(result)
            return
""",
        "a reply that comes too late, or twice, becomes a message of the caller",
        ("20", "78", "84"),
    ),
    # --- C. mailboxes and the order of signals
    Fault(
        "exit-overtakes",
        "_life.py",
        "            self.deliver(Exit(sender, reason))\n",
        """\
            self.deliver(Exit(sender, reason))
            assert self.mailbox is not None
            self.mailbox.rotate(1)
""",
        "an exit signal overtakes messages that were sent before it",
        ("4", "21"),
        by_erlang=True,
    ),
    Fault(
        "messages-overtake",
        "_process.py",
        "    mailbox.append(message)\n",
        "    mailbox.appendleft(message)\n",
        "the newest message is the first to be taken",
        ("21",),
        by_erlang=True,
    ),
    Fault(
        "receive-takes-the-newest",
        "_mailbox.py",
        "            for index, message in enumerate(self):",
        "            for index, message in reversed(list(enumerate(self))):",
        "a selective receive takes the newest message that it accepts",
        ("22",),
        by_erlang=True,
    ),
    Fault(
        "poll-does-not-look",
        "_timers.py",
        "    if here.mailbox:\n",
        "    if here.mailbox and timeout != 0:\n",
        "receive(timeout=0) gives up without a look",
        ("23",),
        by_erlang=True,
    ),
    Fault(
        "mailbox-has-a-limit",
        "_process.py",
        "        mailbox = process.mailbox = Mailbox()",
        "        mailbox = process.mailbox = Mailbox(maxlen=1000)",
        "a mailbox forgets the oldest of more than a thousand messages",
        ("24",),
    ),
    Fault(
        "receive-looks-again",
        "_mailbox.py",
        "range(start, len(self))",
        "range(len(self))",
        "a receive that waits looks at the whole backlog for each message",
        ("26",),
    ),
    # --- K. names, registries, groups
    Fault(
        "name-has-two-holders",
        "_runtime.py",
        "    if pid is not None:\n        raise NameTaken(name, pid)",
        "    if pid is not None and pid.process is None:\n        raise NameTaken(name, pid)",
        "a name that is taken can be taken again",
        ("88",),
        by_erlang=True,
    ),
    Fault(
        "name-freed-late",
        "_life.py",
        "            home.runtime.free_names(self)\n",
        "            trio.lowlevel.current_trio_token().run_sync_soon(\n"
        "                home.runtime.free_names, self\n"
        "            )\n",
        "a name is free only some time after links and monitors know of the death",
        ("29", "89", "T13", "Q6"),
        by_erlang=True,
    ),
    Fault(
        "via-is-no-name",
        "_runtime.py",
        "        name.claim(process)\n        return",
        "        return",
        "a child that is started under a key is not registered under it",
        ("90",),
    ),
    Fault(
        "unique-key-has-two-holders",
        "_keys.py",
        "        elif self._unique:\n",
        "        elif self._unique and process in holders:\n",
        "two processes are registered under one unique key",
        ("91",),
    ),
    Fault(
        "listener-hears-once",
        "_keys.py",
        "            self._tell_gone(process, key, len(self._table[key][process]))",
        "            self._tell_gone(process, key, 1)",
        "a listener is told once of a process that held a key several times",
        ("91",),
    ),
    Fault(
        "join-twice-is-once",
        "_groups.py",
        "        members[process] = members.get(process, 0) + 1",
        "        members[process] = 1",
        "joining twice is one membership",
        ("92",),
        by_erlang=True,
    ),
    Fault(
        "leave-of-strangers-is-fine",
        "_groups.py",
        "            raise NotAMember(group)",
        "            return",
        "leaving a group that one is not in is no error",
        ("92",),
        by_erlang=True,
    ),
    Fault(
        "the-dead-leave-once",
        "_groups.py",
        "            for _ in range(self.groups[group][process]):\n",
        "            for _ in range(1):\n",
        "a process that had joined twice stays a member after its death",
        ("92",),
        by_erlang=True,
    ),
)
