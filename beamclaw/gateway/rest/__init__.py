"""Agents, sessions and runs over plain HTTP, for programs without a client of their own.

What is asked here is done by what the gateway's methods stand on; the document at
``/api/openapi.json`` is made from the table that the paths are made from.
"""
