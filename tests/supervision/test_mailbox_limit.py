"""What happens to a message, as a table."""

import pytest

from supervision import MailboxLimit
from supervision._mailbox_limit import admit


@pytest.mark.parametrize("overload", ["drop_newest", "drop_oldest", "exit"])
@pytest.mark.parametrize("kind", ["signal", "call", "message"])
@pytest.mark.parametrize("waiting", [0, 1, 2])
def test_what_fits_is_kept(overload, kind, waiting):
    assert admit(MailboxLimit(3, overload=overload), kind, waiting) == "keep"


@pytest.mark.parametrize(
    "overload, kind, verdict",
    [
        ("drop_newest", "signal", "keep"),
        ("drop_newest", "call", "refuse"),
        ("drop_newest", "message", "drop"),
        ("drop_oldest", "signal", "keep"),
        ("drop_oldest", "call", "refuse"),
        ("drop_oldest", "message", "evict"),
        ("exit", "signal", "keep"),
        ("exit", "call", "refuse"),
        ("exit", "message", "end"),
    ],
)
@pytest.mark.parametrize("waiting", [3, 4])
def test_what_does_not_fit_is_up_to_the_policy(overload, kind, verdict, waiting):
    assert admit(MailboxLimit(3, overload=overload), kind, waiting) == verdict


def test_without_a_policy_the_newest_is_dropped():
    assert MailboxLimit(1) == MailboxLimit(1, overload="drop_newest")


@pytest.mark.parametrize("size", [0, -1])
def test_a_mailbox_that_holds_nothing_is_refused(size):
    with pytest.raises(ValueError, match="at least 1"):
        MailboxLimit(size)


def test_a_policy_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="drop_all"):
        MailboxLimit(1, overload="drop_all")  # type: ignore[arg-type]
