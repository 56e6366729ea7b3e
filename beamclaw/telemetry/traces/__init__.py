"""Traces: spans made of the events of the contract, sent to a collector (OTLP).

:mod:`.spans` makes them, :mod:`.otlp` writes them as the protocol has it, both without
I/O; :mod:`.server` is the process that sends them.
"""
