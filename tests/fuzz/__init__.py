"""Bytes by chance against the gateway's listener; ``python -m tests.fuzz --seconds N``."""
