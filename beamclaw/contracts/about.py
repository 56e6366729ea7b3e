"""What a process is doing, in words, where ``beamclaw tree`` finds it.

It is the value of the process's name, so that whoever looks waits in nobody's mailbox.
Nothing secret belongs into it: no arguments, nothing that was said.
"""

from beamclaw.values import frozen


@frozen
class About:
    """See the module."""

    words: str
