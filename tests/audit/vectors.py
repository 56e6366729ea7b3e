"""P5 and P1 for vectors, which belong to no conversation: paid for, and answered once.

The ledger has nothing of the texts, so a call of the provider's and its row are compared
by the model and the figures alone.
"""

from collections import Counter
from collections.abc import Iterator

from tests.audit.book import Book, Row
from tests.audit.known import Known, Wanted, rule


@rule
def vectors_reserved(known: Known) -> Iterator[str]:
    """A provider was asked for vectors, and nothing was reserved for it before."""
    books = [*((kill.at, kill.book) for kill in known.kills), (None, known.book)]
    for at, book in books:
        made = Counter(
            each.model for each in known.embeddings if at is None or each.at < at
        )
        for model, count in made.items():
            there = len(_rows(book, model)) + sum(
                r["calls"] for r in _sums(book, model)
            )
            if count > there:
                yield f"{model}: {count} calls made, {there} reserved"


@rule
def vectors_paid(known: Known) -> Iterator[str]:
    """Vectors were billed, and no row of the ledger holds as much for them."""
    for model in sorted({each.model for each in known.embeddings}):
        bills = [each.billed for each in known.embeddings if each.model == model]
        held = [_held(row) for row in _rows(known.book, model)]
        bills.sort(reverse=True)
        held.sort(reverse=True)
        erased = sum(row["input"] for row in _sums(known.book, model))
        if sum(bills) > sum(held) + erased:
            yield f"{model}: {sum(bills)} tokens billed, {sum(held) + erased} held"
        # A row for each: the largest bill needs the largest row, and so on.
        elif not erased and (
            found := [b for b, h in zip(bills, held, strict=False) if b > h]
        ):
            yield f"{model}: {found[0]} tokens billed, and no row holds them"


@rule
def vectors_settled(known: Known) -> Iterator[str]:
    """A reservation for vectors stays open, and nothing explains it.

    Each request has one open at a time. One that was answered has settled all of its own.
    """
    for model in sorted({each.model for each in known.embeddings}):
        open_ = sum(row["settled_at"] is None for row in _rows(known.book, model))
        cut = sum(each.vectors is None for each in known.wanted)
        if open_ > (cut if known.kills or known.cuts else 0):
            yield f"{model}: {open_} reservations stay open, {cut} requests were cut"


@rule
def vectors_true(known: Known) -> Iterator[str]:
    """A client got other vectors than its texts', or another bill than the provider's."""
    for wanted in known.wanted:
        if wanted.vectors is None:
            continue
        found = [
            call
            for call in known.embeddings
            if (call.marker, call.vectors) == (wanted.marker, wanted.vectors)
        ]
        if not found:
            yield f"{wanted.marker}: told vectors that were not made of its texts"
        elif found[0].counts and wanted.billed != found[0].billed:
            yield f"{wanted.marker}: told {wanted.billed} tokens, not {found[0].billed}"


@rule
def vectors_answered(known: Known) -> Iterator[str]:
    """A request for vectors that has not its one end, or one that nothing explains."""
    for wanted in known.wanted:
        if wanted.ends != 1:
            yield f"{wanted.marker}: {_told(wanted)}"
        for code in wanted.codes:
            if code not in wanted.codes_explained:
                yield f"{wanted.marker}: refused, {code}, which nothing explains"
        if wanted.cut and not (wanted.broken or known.cuts or known.kills):
            yield f"{wanted.marker}: cut, and nobody died"


def _told(wanted: Wanted) -> str:
    words = ["vectors"] if wanted.vectors is not None else []
    words += [*wanted.codes, *["left"] * wanted.left, *["cut"] * wanted.cut]
    return ", ".join(words) or "it waited for ever"


def _rows(book: Book, model: str) -> list[Row]:
    return [row for row in book.usage if row["model"] == model]


def _sums(book: Book, model: str) -> list[Row]:
    """What is left of the rows that were erased, with the sessions of single requests."""
    return [row for row in book.sums if row["model"] == model]


def _held(row: Row) -> int:
    return row["bound_input"] if row["settled_at"] is None else row["input"]
