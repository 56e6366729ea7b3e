"""Changes of the configuration file: judged whole before anything is written.

One writer (:mod:`.writer`) reads, judges and replaces the file; :mod:`.patching`,
:mod:`.hiding`, :mod:`.judging` and :mod:`.differing` are its decisions, without I/O;
:mod:`.files` is the way to the disk.
"""
