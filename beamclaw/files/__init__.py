"""Files of an agent: read, written, changed and searched, inside its workspace.

No process: the tools work in the processes of their calls, in threads of a
:class:`Bench` that a tenant's agents share.
"""

from beamclaw.contracts.tools import Tool
from beamclaw.files.bench import Bench
from beamclaw.files.setting import Setting

__all__ = ["Bench", "Setting", "tools"]


def tools(setting: Setting) -> tuple[Tool, ...]:
    """The tools for files of one agent."""
    # A node has to be listening soon, and its first turn is later.
    from beamclaw.files.aliases import Aliased  # noqa: PLC0415
    from beamclaw.files.changing import ChangeTools  # noqa: PLC0415
    from beamclaw.files.looking import LookTools  # noqa: PLC0415
    from beamclaw.toolkit import tools_of  # noqa: PLC0415

    looking, changing = LookTools(setting), ChangeTools(setting)
    return (
        *(Aliased(each, forgets=looking.forget) for each in tools_of(looking)),
        *(Aliased(each, forgets=changing.forget) for each in tools_of(changing)),
    )
