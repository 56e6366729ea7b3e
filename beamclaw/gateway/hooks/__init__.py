"""Calls from outside by which other programs have an agent do something: ``/hooks/…``.

They have a token of their own and can do nothing else. What they bring are words of
strangers, and count as such.
"""
