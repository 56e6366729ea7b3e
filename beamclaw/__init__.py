"""BeamClaw: an AI-agent gateway in which every moving part is supervised.

The parts are folders, composed by :mod:`beamclaw.tree` alone. Nothing happens when
this package is imported: a node has to be listening in less than half a second.
"""


def __getattr__(name: str) -> str:
    """Look up ``__version__`` when somebody asks; reading metadata takes a while."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms at each start

        return version("beamclaw")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
