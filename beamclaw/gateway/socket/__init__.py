"""OpenClaw's gateway protocol over WebSocket, version 4: clients as processes.

Frames and the handshake are decisions without I/O (``frames``, ``handshake``); a
connection that was upgraded is a ``client``; who is connected stands in a table, the
``hall``.
"""
