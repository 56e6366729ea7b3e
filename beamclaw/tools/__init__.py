"""Tool calls: each one a process, under a supervisor that outlives runs and ledger."""

from beamclaw.tools._supervisor import begin_call, supervisor

__all__ = ["begin_call", "supervisor"]
