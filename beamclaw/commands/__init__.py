"""Commands: one launcher per tenant, one process per running command, two tools."""

from beamclaw.commands._supervisor import supervisor
from beamclaw.commands.environment import inherited
from beamclaw.commands.messages import Settings
from beamclaw.commands.notices import NoticeServer
from beamclaw.commands.setting import Setting
from beamclaw.contracts.tools import Tool

__all__ = ["NoticeServer", "Setting", "Settings", "inherited", "supervisor", "tools"]


def tools(setting: Setting) -> tuple[Tool, ...]:
    """The tools of an agent that have to do with commands."""
    # A node has to be listening soon, and its first turn is later.
    from beamclaw.commands.exec_tool import ExecTool  # noqa: PLC0415
    from beamclaw.commands.process_tool import ProcessTool  # noqa: PLC0415
    from beamclaw.toolkit import tools_of  # noqa: PLC0415

    return (*tools_of(ExecTool(setting)), *tools_of(ProcessTool(setting)))
