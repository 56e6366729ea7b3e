"""Where the skills of an agent are looked for; what stands first goes before."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from beamclaw.agents import workspace_of
from beamclaw.config.schema import Config
from beamclaw.contracts.resources import resource
from beamclaw.skills.scan import Source

SKILLS: Final = "skills"


def installed_folder(config: Config) -> Path:
    """Where skills are installed."""
    return (config.data / SKILLS).absolute()


def sources_of(config: Config, agent: str) -> tuple[Source, ...]:
    """The folders of *agent*, whether they are there or not."""
    workspace = workspace_of(config, agent)
    found = [
        Source(workspace / SKILLS, "workspace"),
        Source(workspace / ".agents" / SKILLS, "project"),
        Source(Path("~/.agents").expanduser() / SKILLS, "personal"),
        Source(installed_folder(config), "installed"),
    ]
    # An installation without them can do the rest.
    with suppress(FileNotFoundError):
        found.append(Source(resource("skills"), "bundled"))
    extra = config.skills.load.extra_dirs
    found += [Source((config.data / path).absolute(), "extra") for path in extra]
    return tuple(found)
