"""Values to JSON bytes and back: one converter for journal, bus and sockets.

Unions of attrs classes carry a tag ``"_"`` with the class's name, so that a reader of
another version sees at once what it does not know.
"""

from typing import Any, TypeVar

import orjson
from cattrs.preconf.orjson import make_converter
from cattrs.strategies import configure_tagged_union

from beamclaw.contracts.messages import Part

T = TypeVar("T")

converter = make_converter(omit_if_default=True)
configure_tagged_union(Part, converter, tag_name="_")


def encode(value: object, as_type: Any = None) -> bytes:
    """JSON bytes of an attrs value; *as_type* names the union it is a member of."""
    return orjson.dumps(converter.unstructure(value, as_type))


def decode(data: bytes | str, as_type: type[T]) -> T:
    """The value again.

    Raises:
        cattrs.errors.ClassValidationError: The bytes are no such value.
        orjson.JSONDecodeError: They are no JSON.
    """
    return converter.structure(orjson.loads(data), as_type)
