"""What one part of the node may know of another.

Messages, names, Protocols and small client functions; no process and no I/O lives
here. Only the server of a subsystem interprets that subsystem's messages.
"""
