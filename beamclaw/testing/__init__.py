"""Fakes of the world outside, for the tests of BeamClaw and of what is built on it.

They are strict: what the real platform refuses they refuse, with its own error, and
write it down. They can be told to do everything wrong that a platform does. And each
keeps a ledger of effects, which a test's auditor reads and the node never sees.

``fake_openai`` and ``fake_anthropic`` are model providers on real sockets, inside a test
or as a process of their own (``python -m beamclaw.testing.fake_openai --help``).
"""
