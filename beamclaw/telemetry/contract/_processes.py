"""Events of processes, which come from the library that supervises."""

from typing import Final

from beamclaw.telemetry.contract._spec import EventSpec, Measure

_WHO: Final = {"pid": "", "name": "", "id": ""}

PROCESSES: Final = (
    EventSpec(
        "supervision.process.crash",
        "error",
        "A process has ended in a way that nobody meant.",
        {"messages": Measure(doc="handled before")},
        {**_WHO, "reason": ""},
    ),
    EventSpec(
        "supervision.child.restart",
        "info",
        "A child was restarted.",
        {"restarts": Measure(doc="of this child so far")},
        {"supervisor": "", "id": "", "reason": ""},
    ),
    EventSpec(
        "supervision.child.terminated",
        "warning",
        "A child was told to end and ended in another way.",
        {},
        {"supervisor": "", "id": "", "reason": ""},
    ),
    EventSpec(
        "supervision.child.cooling_down",
        "warning",
        "A child that died again and again is tried later.",
        {
            "seconds": Measure("seconds", "until it is tried again"),
            "restarts": Measure(doc="of this child so far"),
        },
        {"supervisor": "", "id": "", "reason": ""},
    ),
    EventSpec(
        "supervision.child.recovered",
        "info",
        "A child had to cool down and has stayed up since.",
        {"restarts": Measure(doc="of this child so far")},
        {"supervisor": "", "id": "", "pid": ""},
    ),
    EventSpec(
        "supervision.child.unkillable",
        "error",
        "A process was killed a second ago and still runs.",
        {},
        {**_WHO, "held_by": "busy, shield, thread", "stack": "where"},
    ),
    EventSpec(
        "supervision.loop.lag",
        "warning",
        "Somebody has held up the event loop.",
        {
            "seconds": Measure("seconds", "how late the loop was"),
            "untold": Measure(doc="lags since the last event that were not told"),
        },
        {**_WHO, "task": "who held it up", "stack": "in what"},
    ),
    EventSpec(
        "supervision.supervisor.gave_up",
        "error",
        "A supervisor has restarted too often, and ends.",
        {"max_restarts": Measure(doc="that it tolerates in its window")},
        {"supervisor": "", "name": "", "id": "the child's", "reason": ""},
    ),
    EventSpec(
        "supervision.process.trace",
        "info",
        "A message of a process that is traced.",
        {},
        {
            "pid": "",
            "name": "",
            "kind": "call, cast, info or reply",
            "message": "shortened",
            "caller": "",
        },
    ),
    EventSpec(
        "supervision.mailbox.overloaded",
        "warning",
        "A limited mailbox is full; told once a second at most.",
        {
            "dropped": Measure(
                doc="messages dropped and calls refused since it was told last"
            ),
            "size": Measure(doc="messages that have room"),
        },
        {**_WHO, "overload": "the policy"},
    ),
    EventSpec(
        "supervision.message.dropped",
        "warning",
        "A process got a message that it does not handle.",
        {},
        {"pid": "", "name": "", "message": "its type"},
    ),
    EventSpec(
        "beamclaw.traces.sent",
        "debug",
        "Steps of requests were sent to the collector of traces.",
        {"spans": Measure(), "seconds": Measure("seconds", "that it took for them")},
    ),
    EventSpec(
        "beamclaw.traces.lost",
        "warning",
        "Steps of requests that the collector of traces will not see.",
        {"spans": Measure()},
        {"why": ""},
    ),
)
