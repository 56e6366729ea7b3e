"""Anthropic's Messages API as values: requests are read and checked, answers written.

Pure, all of it: who hands a message in and follows its run is
:mod:`beamclaw.gateway.turns`.
"""
