"""Tools for tests of code that stands on `supervision`.

Nothing here sleeps for luck: everything waits for the event that it is named after. All
of it works in a test of pytest-trio, with its ``autojump_clock`` or without, and in any
other Trio program; `run` makes one, under the virtual clock.

>>> import trio, supervision
>>> from supervision import ChildSpec
>>> from supervision.testing import crash, run, wait_at_rest, watching
>>> async def worker():
...     await supervision.receive()
>>> async def scenario():
...     children = [ChildSpec(id, worker, name=id) for id in ("a", "b", "c")]
...     async with supervision.open_supervisor(children, strategy="rest_for_one"):
...         with watching() as watched:
...             crash("b")
...             await wait_at_rest()
...         watched.assert_restarted("b", "c", only=True)
>>> with Recorder.attached():
...     run(scenario)
"""

from ._crashing import CrashOnPurpose, CrashPoint, crash, crash_at
from ._leaks import Leaks, assert_no_leaks
from ._probes import Probe, Recorder, Tap
from ._running import as_process, run, run_seeds, seeded
from ._waiting import NotAtRest, settle, wait_at_rest, wait_exit, wait_name
from ._watching import Change, Watched, watching

__all__ = [
    "Change",
    "CrashOnPurpose",
    "CrashPoint",
    "Leaks",
    "NotAtRest",
    "Probe",
    "Recorder",
    "Tap",
    "Watched",
    "as_process",
    "assert_no_leaks",
    "crash",
    "crash_at",
    "run",
    "run_seeds",
    "seeded",
    "settle",
    "wait_at_rest",
    "wait_exit",
    "wait_name",
    "watching",
]
