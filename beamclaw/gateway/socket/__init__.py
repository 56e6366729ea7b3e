"""OpenClaw's gateway protocol over WebSocket, version 4: clients as processes.

The handshake is a decision without I/O, as the frames are (``gateway.frames``); a
connection that was upgraded is a ``client``; who is connected stands in a table, the
``gateway.hall``.
"""
