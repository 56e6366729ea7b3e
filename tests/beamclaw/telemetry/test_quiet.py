"""What a node tells of itself costs nothing per word of an answer."""

from collections import Counter

import supervision
from tests.support.inside import configuration, no_tools, open_inside
from tests.support.model import open_model


async def told_of(node, tokens: int) -> Counter[str]:
    """How often each event is emitted for an answer of so many tokens."""
    seen: Counter[str] = Counter()
    detach = supervision.telemetry.attach(lambda event: seen.update([event.name]))
    headers = node.headers(f"k{tokens}", f"t{tokens}-w0-g0", session=None)
    answer = await node.ask("Hello", headers, wait=30.0)
    assert answer.status == 200
    detach()
    return seen


async def test_an_answer_of_many_words_is_told_of_as_one_of_few(tmp_path):
    async with open_model() as model:
        config = configuration(tmp_path / "data", model.url)
        async with open_inside(config, toolbox=no_tools) as node:
            await told_of(node, 1)
            few, many = await told_of(node, 5), await told_of(node, 500)
    assert few["beamclaw.model.called"] == 1
    # The watchdog tells of a loop that others hold up.
    few.pop("supervision.loop.lag", None)
    many.pop("supervision.loop.lag", None)
    assert few == many
