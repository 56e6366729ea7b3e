"""Looking into servers, state machines and supervisors through their own loop.

What Erlang's ``sys`` does: it sees and changes a state between two messages, suspends and
resumes, and shows what comes and goes.
"""

from ._sys import (
    DONE,
    Statistics,
    Status,
    SysEvent,
    change_code,
    get_state,
    get_status,
    install,
    log,
    remove,
    replace_state,
    resume,
    statistics,
    suspend,
    terminate,
    trace,
)

__all__ = [
    "DONE",
    "Statistics",
    "Status",
    "SysEvent",
    "change_code",
    "get_state",
    "get_status",
    "install",
    "log",
    "remove",
    "replace_state",
    "resume",
    "statistics",
    "suspend",
    "terminate",
    "trace",
]
