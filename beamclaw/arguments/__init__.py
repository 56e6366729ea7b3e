"""What a model or a client has written, as values of our types: read strictly, by type.

Tools have their arguments by it and methods of the gateway their parameters. It is no
part of ``toolkit``, which a node imports after it listens.
"""

from beamclaw.arguments.schema import Length, Null, object_of
from beamclaw.arguments.structuring import Unfit, structure
from beamclaw.config.schema import Range

__all__ = ["Length", "Null", "Range", "Unfit", "object_of", "structure"]
