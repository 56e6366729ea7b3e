"""Events of sessions and turns, models, tools, commands, skills and approvals."""

from typing import Final

from beamclaw.telemetry.contract._spec import EventSpec, Measure

_WHERE: Final = {"tenant": "", "session": ""}

TURNS: Final = (
    EventSpec(
        "beamclaw.message.accepted",
        "debug",
        "A message is durable, and its sender is told so.",
        {"seconds": Measure("seconds", "since it was handed in")},
        {
            **_WHERE,
            "run": "under which its answer will be found",
            "source": "by which edge it came",
            "duplicate": "it had come before",
        },
    ),
    EventSpec(
        "beamclaw.turn.started",
        "debug",
        "A turn is worked for: it has begun, or goes on after a death.",
        {"epoch": Measure(doc="1: from its beginning; else one more after each death")},
        {
            **_WHERE,
            "run": "",
            "agent": "",
            "traceparent": "the header of its request, if that brought one",
        },
    ),
    EventSpec(
        "beamclaw.turn.ended",
        "debug",
        "A turn is over, and that is in the journal.",
        {
            "seconds": Measure(
                "seconds", "since it began, waiting for people included"
            ),
            "model_calls": Measure(doc="answers"),
            "tool_calls": Measure(doc="that have a result"),
            "tokens": Measure("tokens", "of its own calls"),
            "cost": Measure("dollars", "of its own calls"),
        },
        {
            **_WHERE,
            "run": "",
            "agent": "",
            "outcome": "ok, aborted, limited, error or quarantined",
            "error": "the kind of it; empty: there was none",
            "traceparent": "the header of its request, if that brought one",
            "tracestate": "the same",
        },
    ),
    EventSpec(
        "beamclaw.model.called",
        "debug",
        "A call of a model is over.",
        {
            "waited": Measure("seconds", "for the provider's permit"),
            "first": Measure("seconds", "from then until something came"),
            "seconds": Measure("seconds", "from then to its end"),
            "input": Measure("tokens"),
            "output": Measure("tokens"),
            "cached": Measure("tokens", "of the input, read from the provider's cache"),
            "stored": Measure("tokens", "of the input, written into it"),
            "cost": Measure("dollars"),
            "attempt": Measure(doc="which call of its run it was, from 1"),
            "resends": Measure(doc="how often it was made before, and failed"),
            "status": Measure(doc="of HTTP, of a failure that has one; else 0"),
        },
        {
            "tenant": "",
            "run": "what it was made for: a turn, or an order without one",
            "provider": "",
            "model": "",
            "purpose": "answer, summary, embeddings or probe",
            "asked": "it got the provider's permit, and was begun",
            "outcome": "ok, cancelled, or the kind of the error",
        },
    ),
    EventSpec(
        "beamclaw.model.failed",
        "debug",
        "A call of a model has failed, and it is decided what to do about it.",
        {
            "wait": Measure("seconds", "until it is made again"),
            "retry_after": Measure(
                "seconds", "that the provider asks to wait; 0: none"
            ),
        },
        {
            "tenant": "",
            "run": "what it was made for",
            "provider": "",
            "model": "",
            "kind": "of the error",
            "then": "again, other-key, fallback (the next model is asked), shorter "
            "(a summary first), given-up",
        },
    ),
    EventSpec(
        "beamclaw.order.ended",
        "debug",
        "A model was asked for what belongs to no turn, vectors or a try of its key.",
        {"seconds": Measure("seconds", "since it was begun")},
        {
            "tenant": "",
            "run": "",
            "outcome": "ok, cancelled, or the kind of what is wrong",
            "traceparent": "the header of its request, if that brought one",
            "tracestate": "the same",
        },
    ),
    EventSpec(
        "beamclaw.tool.ended",
        "debug",
        "A tool call has its result, and that is in the journal.",
        {"seconds": Measure("seconds", "since it was begun; 0: it never was")},
        {"tenant": "", "run": "", "call": "its id", "tool": "", "outcome": ""},
    ),
    EventSpec(
        "beamclaw.session.snapshot",
        "debug",
        "What a conversation adds up to was kept, to be read faster.",
        {
            "messages": Measure(),
            "bytes": Measure("bytes"),
            "seconds": Measure(
                "seconds", "from the first piece to the answer of the ledger"
            ),
        },
        _WHERE,
    ),
    EventSpec(
        "beamclaw.session.changed",
        "info",
        "Somebody has deleted a conversation, reset it, gone back in it, or has another "
        "agent answer there.",
        {},
        {
            **_WHERE,
            "action": "delete, reset, rewind, hand-over",
            "what": "the number of the event behind which it goes on, or the agent",
            "outcome": "done; or unclear: nobody has waited for its end",
            "by": "terminal, a command of an agent, or who it is to the gateway: "
            "operator, device:…, key:…",
            "uid": "of the user who asked, at the node's socket",
            "pid": "of the program that asked there",
        },
        audit=True,
    ),
    EventSpec(
        "beamclaw.session.repaired",
        "warning",
        "A conversation was damaged, and is whole again.",
        {"places": Measure(doc="in which it was damaged")},
        {**_WHERE, "first": "what was wrong there"},
    ),
    EventSpec(
        "beamclaw.session.quarantined",
        "error",
        "A turn that ends its process again and again was put aside.",
        {"revivals": Measure()},
        _WHERE,
    ),
    EventSpec(
        "beamclaw.sessions.cleaned",
        "info",
        "What is older than `sessions.retention` was deleted.",
        {
            "sessions": Measure(doc="deleted"),
            "rows": Measure(doc="erased"),
            "pages": Measure(doc="of the file given back, since it last was done"),
        },
        {"tenant": ""},
    ),
    EventSpec(
        "beamclaw.limits.nearly_reached",
        "warning",
        "A cap is nearly reached; once for each cap and day, or conversation.",
        {
            "used": Measure(
                doc="tokens, calls, millionths of a dollar or milliseconds"
            ),
            "limit": Measure(doc="the same"),
        },
        {
            "tenant": "",
            "key": "the agent or session, if the cap is for one",
            "cap": "the key of the configuration",
            "why": "in words",
        },
    ),
    EventSpec(
        "beamclaw.limits.turn_nearly_reached",
        "warning",
        "A turn has nearly reached a limit of its own; once for each limit and turn.",
        {
            "used": Measure(doc="calls, tokens, seconds or millionths of a dollar"),
            "limit": Measure(doc="the same"),
        },
        {
            **_WHERE,
            "run": "",
            "agent": "",
            "cap": "the key of the configuration",
            "why": "in words",
        },
    ),
    EventSpec(
        "beamclaw.limits.overrun",
        "error",
        "A provider has billed more than the call could use by its limit.",
        {
            "tokens": Measure("tokens", "billed"),
            "reserved_tokens": Measure("tokens"),
            "cost": Measure("dollars", "billed"),
            "reserved_cost": Measure("dollars"),
        },
        {**_WHERE, "agent": "", "provider": "", "model": ""},
    ),
    EventSpec(
        "beamclaw.provider.left_alone",
        "warning",
        "A provider fails and is not asked for a while.",
        {"seconds": Measure("seconds", "until it is asked again")},
        {
            "provider": "",
            "key": "which of its keys, from 1",
            "kind": "of the last failure",
            "why": "the last failure",
        },
    ),
    EventSpec(
        "beamclaw.provider.answers_again",
        "info",
        "A provider that was left alone answers.",
        {},
        {"provider": "", "key": "which of its keys, from 1"},
    ),
    EventSpec(
        "beamclaw.sandbox.missing",
        "warning",
        "Something of the isolation and limits of commands cannot be had here.",
        {},
        {
            "tenant": "",
            "missing": "what",
            "trusted": "where commands run",
            "untrusted": "where commands run behind words of strangers",
            "limits": "what limits them",
        },
    ),
    EventSpec(
        "beamclaw.sandbox.ready",
        "debug",
        "Commands are isolated and limited as the configuration wants it.",
        {},
        {"tenant": "", "trusted": "", "untrusted": "", "limits": ""},
    ),
    EventSpec(
        "beamclaw.command.ended",
        "debug",
        "A command is over.",
        {
            "seconds": Measure("seconds"),
            "cpu_seconds": Measure("seconds", "of all its processes"),
            "characters": Measure("characters", "of its output"),
            "left": Measure(doc="processes that it had left behind, which were ended"),
            "stuck": Measure(doc="of those that could not be"),
            "starved": Measure(
                doc="processes that the system has ended for want of memory"
            ),
        },
        {
            "tenant": "",
            "command": "its id",
            "by": "itself, timeout, order, loss, output, start, disk",
            "code": "",
            "signal": "",
        },
    ),
    EventSpec(
        "beamclaw.command.untold",
        "warning",
        "A session could not be told of the end of its command; most often it was deleted.",
        {},
        {"tenant": "", "command": "", "why": ""},
    ),
    EventSpec(
        "beamclaw.tool.crashed",
        "error",
        "A fault of a tool whose calls are no processes; the model is told.",
        {},
        {**_WHERE, "tool": "", "error": ""},
    ),
    EventSpec(
        "beamclaw.tool.late",
        "warning",
        "A call was stopped at its deadline; the model is told.",
        {"seconds": Measure("seconds", "how long it might take")},
        {**_WHERE, "tool": ""},
    ),
    EventSpec(
        "beamclaw.approval.asked",
        "info",
        "A person has to agree before a tool works.",
        {},
        {**_WHERE, "wait": "the question's id", "tool": ""},
    ),
    EventSpec(
        "beamclaw.approval.over",
        "info",
        "A question to a person is over.",
        {},
        {
            **_WHERE,
            "wait": "the question's id",
            "verdict": "allow, deny or expired",
            "by": "",
            "always": "it was allowed for good",
        },
        audit=True,
    ),
    EventSpec(
        "beamclaw.approval.refused",
        "warning",
        "An answer that does not count: it came twice, too late or for another "
        "session, or allows for good what cannot be, or one thing too many.",
        {},
        {"tenant": "", "wait": "the question's id", "by": "", "why": ""},
        audit=True,
    ),
    EventSpec(
        "beamclaw.approval.changed",
        "warning",
        "What was agreed to was another thing when it was to be done; it was not done.",
        {},
        {**_WHERE, "tool": "", "call": ""},
    ),
    EventSpec(
        "beamclaw.approval.revoked",
        "info",
        "Something is not allowed for good any more.",
        {},
        {"tenant": "", "grant": "its number", "by": ""},
        audit=True,
    ),
    EventSpec(
        "beamclaw.subagent.started",
        "debug",
        "An agent has ordered a turn in a session of its own.",
        {"depth": Measure(doc="1 is below a conversation")},
        {**_WHERE, "parent": "the session that has started it", "mode": ""},
    ),
    EventSpec(
        "beamclaw.subagent.refused",
        "info",
        "An agent may not order that.",
        {},
        {**_WHERE, "tool": "", "why": "in words"},
    ),
    EventSpec(
        "beamclaw.workspace.unread",
        "warning",
        "An agent's files could not be read in time; it is told what was read last.",
        {},
        {"tenant": "", "agent": "", "why": ""},
    ),
    EventSpec(
        "beamclaw.skill.refused",
        "warning",
        "A folder is no skill that can be used.",
        {},
        {"tenant": "", "agent": "", "path": "", "why": ""},
    ),
    EventSpec(
        "beamclaw.skill.tampered",
        "error",
        "A skill is not what was installed, and is not offered any more.",
        {},
        {"tenant": "", "agent": "", "path": "", "why": ""},
    ),
    EventSpec(
        "beamclaw.skill.unset",
        "warning",
        "Commands do not get a variable, though `skills.entries` has a value.",
        {},
        {"tenant": "", "agent": "", "skill": "", "variable": "", "why": "in words"},
    ),
)
