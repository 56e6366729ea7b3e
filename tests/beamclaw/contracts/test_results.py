"""What becomes of a tool's output: what the model gets, what is kept, what is counted."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import results
from beamclaw.contracts.ledger_ops import OUTPUT_PIECE, PutOutput
from beamclaw.contracts.messages import File, Image
from beamclaw.contracts.results import bounded, ended, of_output, to_keep, whole
from beamclaw.contracts.steps import at_once
from beamclaw.contracts.tools import Bounded, Bounds, Output


def of(text: str, told: int = 10, kept: int = 1_000_000) -> Bounded:
    return at_once(bounded(Output(text), "r/a", Bounds(told, kept, 0)))


def test_what_the_model_gets_all_of_is_not_kept_beside():
    output = of("short")
    assert (output.text, output.length, output.pieces) == ("short", 5, ())
    result = of_output("a", "r/a", output)
    assert to_keep("r", "r/a", output, result, at=1.0) is None
    assert result.rest is None


def test_of_what_is_too_long_the_model_is_told_where_the_rest_is():
    output = of("beginning " * 10 + "end")
    assert output.text == (
        "beginnin\n"
        "[… 93 of 103 characters left out; all of it is kept as output r/a, which read_output reads …]\n"
        "nd"
    )
    result = of_output("a", "r/a", output)
    assert (result.rest, result.size, result.outcome) == ("r/a", 103, "ok")
    assert to_keep("r", "r/a", output, result, at=1.0) == PutOutput(
        pointer="r/a",
        run_id="r",
        at=1.0,
        length=103,
        pieces=output.pieces,
        untrusted=False,
    )


def test_of_what_is_longer_than_is_kept_the_model_is_told_how_much():
    output = of("x" * 100, kept=30)
    assert b"".join(output.pieces) == b"x" * 30
    assert "90 of 100 characters left out; the first 30 are kept as output r/a" in (
        output.text
    )


def test_nothing_is_kept_and_nothing_promised_where_nothing_may_be():
    output = of("x" * 100, kept=0)
    assert output.pieces == ()
    assert "left out …]" in output.text


@pytest.mark.parametrize("piece", [3, 5])
@given(st.text(alphabet="aé€😀\ud800", max_size=30), st.integers(0, 60))
def test_what_is_kept_is_a_beginning_in_pieces(piece: int, text: str, kept: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "OUTPUT_PIECE", piece)
        output = of(text, told=2, kept=kept)
    said = [data.decode("utf-8", "surrogatepass") for data in output.pieces]
    assert text.startswith("".join(said))
    assert sum(map(len, output.pieces)) <= kept
    assert all(len(one) == piece for one in said[:-1])
    if kept >= 4 * len(text) and len(text) > 2:
        assert "".join(said) == text
    data = text.encode("utf-8", "surrogatepass")
    assert (output.size, output.length) == (len(data), len(text))
    assert output.digest == hashlib.blake2b(data, digest_size=12).hexdigest()


def test_it_goes_in_steps_however_long_it_is():
    work = bounded(Output("x" * (9 * OUTPUT_PIECE + 1)), "r/a", Bounds(10, 10**9, 0))
    assert len(list(work)) == 9


def test_the_node_itself_answers_in_the_same_way():
    assert ended("a", "unknown", "who knows") == of_output(
        "a", "r/a", whole(Output("who knows", is_error=True))
    ).__class__(
        outcome="unknown",
        result=ended("a", "unknown", "who knows").result,
        digest=whole(Output("who knows")).digest,
        size=9,
    )


IMAGE = Image(data="x" * 40, media_type="image/png")
FILE = File("report.pdf", "application/pdf", data="y" * 40)


def test_pictures_and_files_go_along_up_to_so_many_bytes():
    output = Output("see", media=(IMAGE, FILE, Image(url="https://example.org")))
    found = at_once(bounded(output, "r/a", Bounds(100, 0, 70)))
    assert found.media == (IMAGE, Image(url="https://example.org"))
    assert found.text == (
        "see\n[… the file 'report.pdf' of 40 bytes is left out (tools.max_media: 70) …]"
    )
    assert of_output("a", "r/a", found).result.media == found.media


def test_another_picture_is_another_result():
    bounds = Bounds(100, 0, 70)
    digests = {
        at_once(bounded(Output("see", media=media), "r/a", bounds)).digest
        for media in ((), (IMAGE,), (FILE,))
    }
    assert len(digests) == 3
