"""Files of an agent: read, written, changed and searched, inside its workspace.

No process: the tools work in the processes of their calls, in threads of a
:class:`Bench` that a tenant's agents share.
"""

from beamclaw.contracts.tools import Tool
from beamclaw.files.aliases import Aliased
from beamclaw.files.bench import Bench
from beamclaw.files.tools import FileTools, Setting
from beamclaw.toolkit import tools_of

__all__ = ["Bench", "Setting", "tools"]


def tools(setting: Setting) -> tuple[Tool, ...]:
    """The tools for files of one agent."""
    return tuple(Aliased(each) for each in tools_of(FileTools(setting)))
