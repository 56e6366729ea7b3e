"""The program that starts commands: ``python -I -S _launcher/__main__.py FD``.

It is a process of its own so that nothing of a command outlives what it was begun for,
whatever dies and however::

    node --- launcher --- reaper --- the command --- whatever it starts
                      --- reaper --- the command ...

Launcher and reapers are *subreapers*: who loses its parent becomes their child, also
after a double fork or ``setsid``, so all of it can be found and ended. Each knows of the
one above by a pipe that ends with it. The node dies: the launcher ends all. The launcher
dies: each reaper ends its own. A reaper dies (the command may kill it): what it watched
becomes the launcher's, which ends it. A parent-death signal would not do: it is about
the thread that forked, and ``setsid`` does not stop a process from taking it off.

The launcher reads one byte per command, with open files: a socket on which node and
reaper then talk (JSON lines), and the command's standard input and output, or its
terminal alone. It never waits for anything else, so that no command holds up another.

Only a few modules are imported: this must start fast, and be small in memory.
"""
