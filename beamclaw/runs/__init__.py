"""Runs: one temporary process per turn in progress, and what they share.

The supervisor's children: ``clients`` (the tenant's own connections to providers),
``flush`` (text to the topics, on a tick) and ``runs`` (a task supervisor).
"""

from beamclaw.runs._supervisor import supervisor
from beamclaw.runs.flush import Flusher
from beamclaw.runs.run import run_turn
from beamclaw.runs.wiring import Wiring

__all__ = ["Flusher", "Wiring", "run_turn", "supervisor"]
