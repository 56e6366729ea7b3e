"""What was said in a conversation, message by message, in as little room as it needs.

Nearly all messages of a long conversation are one plain text, and of ten thousand hardly
anybody looks at more than the last. So such a message is kept as a string that begins
with the letter of its role, which is also how it stands in a snapshot: it becomes a
:class:`~beamclaw.contracts.messages.Message` when somebody looks at it. Whoever goes
through all of them, for each turn, takes them as they are kept (:func:`packed`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast, final, overload

from beamclaw.contracts.history import History
from beamclaw.contracts.messages import Message, Role, Text, said

Packed = str | Message
"""A message as it is kept: never the latter if it is one plain text."""

_LETTERS: Final[dict[Role, str]] = {
    "user": "u",
    "assistant": "a",
    "tool": "t",
    "system": "s",
}
ROLES: Final[dict[str, Role]] = {letter: role for role, letter in _LETTERS.items()}
"""Whose letter it is."""


def pack(message: Message) -> Packed:
    """*message* as it is kept."""
    parts = message.parts
    if len(parts) == 1 and type(parts[0]) is Text:
        return _LETTERS[message.role] + parts[0].text
    return message


def unpack(item: Packed) -> Message:
    """The message that is kept as *item*."""
    return said(ROLES[item[0]], item[1:]) if isinstance(item, str) else item


def role(item: Packed) -> Role:
    """Who says what is kept as *item*."""
    return ROLES[item[0]] if isinstance(item, str) else item.role


def packed(messages: Iterable[Message]) -> Iterable[Packed]:
    """*messages* as they are kept; those of a conversation for nothing."""
    if isinstance(messages, Conversation):
        return messages.items
    return map(pack, messages)


@final
class Conversation(Sequence[Message]):
    """Messages; it can be added to as a :class:`~beamclaw.contracts.history.History`.

    It equals any sequence with the same messages. A slice of it is a tuple.

    Attributes:
        items: The messages as they are kept.
    """

    __slots__ = ("items",)

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.items = History(packed(messages))

    @classmethod
    def of(cls, items: History[Packed]) -> "Conversation":
        """The one that is kept as *items*."""
        conversation = cls.__new__(cls)
        conversation.items = items
        return conversation

    def plus(self, new: Sequence[Message]) -> "Conversation":
        """This one and *new* behind it."""
        return self.of(self.items.plus(list(packed(new))))

    def behind(self, first: Message) -> "Conversation":
        """*first*, and this one behind it."""
        return self.of(History((pack(first), *self.items)))

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...

    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        if isinstance(index, slice):
            return tuple(map(unpack, self.items[index]))
        return unpack(self.items[index])

    def __iter__(self) -> Iterator[Message]:
        return map(unpack, self.items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conversation | tuple | list):
            return NotImplemented
        if isinstance(other, Conversation):
            return self.items == other.items
        return list(self) == list(cast("Sequence[object]", other))

    __hash__ = None  # type: ignore[assignment] -- as a list: nobody looks one up

    def __repr__(self) -> str:
        return f"Conversation({list(self)!r})"
