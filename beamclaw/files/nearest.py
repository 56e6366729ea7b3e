"""What a model might have meant by lines that are not in a file."""

import difflib
from collections.abc import Sequence

# However long a file is, no more is compared.
_LINES = 20_000
_WIDTH = 200
_SHOWN_LINES = 6
_ENOUGH = 0.5


def nearest(wanted: Sequence[str], lines: Sequence[str]) -> str:
    """The place in *lines* that is most like *wanted*, in words; empty: none is.

    By the line of *wanted* that says most, which stands somewhere in almost the same way
    when a model has copied badly.
    """
    if not wanted or not lines:
        return ""
    index = max(range(len(wanted)), key=lambda at: len(wanted[at].strip()))
    key = wanted[index].strip()[:_WIDTH]
    if not key:
        return ""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(key)
    best, found = _ENOUGH, -1
    for at, line in enumerate(lines[:_LINES]):
        matcher.set_seq1(line.strip()[:_WIDTH])
        # Two bounds from above, both much cheaper than the ratio itself.
        if matcher.real_quick_ratio() <= best or matcher.quick_ratio() <= best:
            continue
        best, found = matcher.quick_ratio(), at
    if found < 0:
        return ""
    first = max(0, found - index)
    return _told(wanted, lines, first)


def _told(wanted: Sequence[str], lines: Sequence[str], first: int) -> str:
    count = min(len(wanted), _SHOWN_LINES)
    there = lines[first : first + count]
    same = [line.strip() for line in there] == [w.strip() for w in wanted[:count]]
    why = "; it differs in white space only" if same else ""
    shown = "\n".join(f"{line[:_WIDTH]}" for line in there)
    return f"\nThe nearest is from line {first + 1} on{why}:\n{shown}"
