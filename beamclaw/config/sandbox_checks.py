"""What is wrong with the folders that isolated commands are to see."""

from collections.abc import Iterator
from pathlib import Path

from beamclaw.config.document import child
from beamclaw.config.problems import NO_HOME, at_home
from beamclaw.config.schema import AgentSandboxConfig, Config, SandboxConfig
from beamclaw.contracts.sandbox import refusal

Found = Iterator[tuple[str, str]]


def errors(config: Config) -> Found:
    """Folders that are never put into a sandbox. Links are looked at when it is made."""
    yield from _folders("tools.exec.sandbox", config.tools.exec.sandbox)
    for name, agent in config.agents.items():
        yield from _folders(f"{child('agents', name)}.sandbox", agent.sandbox)


def _folders(path: str, chosen: SandboxConfig | AgentSandboxConfig) -> Found:
    home = str(Path("~").expanduser())
    for key, folders in (("read", chosen.read), ("write", chosen.write)):
        for place, folder in enumerate(folders or ()):
            expanded = at_home(folder)
            words = NO_HOME
            if expanded is not None:
                words = refusal(str(expanded), home, writable=key == "write")
            if words is not None:
                yield child(f"{path}.{key}", place), words
