"""What a response was given, as items in pages."""

from typing import Any

import orjson
import pytest

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    said,
)
from beamclaw.gateway.openai.items import Page, listed, read_page
from beamclaw.gateway.problem import Problem

DONE = {"status": "completed"}
PIXEL = Image(data="aGk=", media_type="image/png")
SHOWN = {
    "type": "input_image",
    "detail": "auto",
    "image_url": "data:image/png;base64,aGk=",
}


def items(*messages: Message, **page: Any) -> list[dict[str, Any]]:
    found = listed("resp_r", messages, Page(order="asc", images=True, **page))
    assert isinstance(found, bytes)
    return orjson.loads(found)["data"]


@pytest.mark.parametrize(
    "message, expected",
    [
        (
            said("user", "hi"),
            [
                {
                    "id": "msg_r_in0",
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                }
            ],
        ),
        (
            Message("user", (PIXEL, File("a.pdf", "application/pdf", data="aGk="))),
            [
                {
                    "id": "msg_r_in0",
                    "type": "message",
                    "role": "user",
                    "content": [
                        SHOWN,
                        {
                            "type": "input_file",
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,aGk=",
                        },
                    ],
                }
            ],
        ),
        (
            Message("user", (File("a", "text/plain", url="https://a.example/a"),)),
            [
                {
                    "id": "msg_r_in0",
                    "type": "message",
                    "role": "user",
                    "content": [
                        {
                            "type": "input_file",
                            "filename": "a",
                            "file_url": "https://a.example/a",
                        }
                    ],
                }
            ],
        ),
        (
            Message(
                "assistant", (Thinking("hm"), Text("so"), ToolCall("c", "f", "{}"))
            ),
            [
                {
                    "id": "msg_r_in0",
                    "type": "message",
                    "role": "assistant",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "so",
                            "annotations": [],
                            "logprobs": [],
                        }
                    ],
                },
                {
                    "id": "fc_r_in1",
                    "type": "function_call",
                    "call_id": "c",
                    "name": "f",
                    "arguments": "{}",
                },
            ],
        ),
        (
            Message("tool", (ToolResult("c", "done"),)),
            [
                {
                    "id": "fco_r_in0",
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": "done",
                }
            ],
        ),
        (
            Message("tool", (ToolResult("c", "see", media=(PIXEL,)),)),
            [
                {
                    "id": "fco_r_in0",
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_text", "text": "see"}, SHOWN],
                }
            ],
        ),
    ],
)
def test_messages_become_items_again(message, expected):
    assert items(message) == [item | DONE for item in expected]


FIVE = tuple(said("user", str(number)) for number in range(5))


@pytest.mark.parametrize(
    "query, texts, more",
    [
        ("", "43210", False),
        ("order=asc", "01234", False),
        ("limit=2", "43", True),
        ("limit=2&after=msg_r_in3", "21", True),
        ("limit=2&after=msg_r_in1", "0", False),
        ("limit=2&after=msg_r_in2&order=asc", "34", False),
        ("after=msg_r_in4&order=asc", "", False),
        ("something=else", "43210", False),
    ],
)
def test_a_page_is_what_follows_the_item_it_names(query, texts, more):
    page = read_page(query)
    assert isinstance(page, Page)
    found = listed("resp_r", FIVE, page)
    assert isinstance(found, bytes)
    answer = orjson.loads(found)
    assert [item["content"][0]["text"] for item in answer["data"]] == list(texts)
    assert answer["has_more"] is more
    ids = [item["id"] for item in answer["data"]]
    ends = (ids[0], ids[-1]) if ids else (None, None)
    assert (answer["first_id"], answer["last_id"]) == ends


@pytest.mark.parametrize(
    "query, param",
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=x", "limit"),
        ("limit=1e1", "limit"),
        ("limit=" + "9" * 10_000, "limit"),
        ("limit=%D9%A3", "limit"),
        ("order=up", "order"),
        ("order=", "order"),
    ],
)
def test_what_is_no_page_is_refused_by_name(query, param):
    problem = read_page(query)
    assert isinstance(problem, Problem)
    assert problem.param == param


@pytest.mark.parametrize("after", ["", "msg_s_in1", "msg_r_in5", "x" * 10_000])
def test_an_item_that_is_none_of_its_own_is_refused(after):
    problem = listed("resp_r", FIVE, Page(after=after))
    assert isinstance(problem, Problem)
    assert problem.param == "after"
    assert len(problem.message) < 200


@pytest.mark.parametrize("name", ["include", "include%5B%5D"])
def test_pictures_have_their_data_only_where_it_is_asked_for(name):
    for query, shown in (
        ("", None),
        (f"{name}=message.input_image.image_url", SHOWN["image_url"]),
        (f"{name}=reasoning.encrypted_content", None),
    ):
        page = read_page(query)
        assert isinstance(page, Page)
        found = listed("resp_r", (Message("user", (PIXEL,)),), page)
        assert isinstance(found, bytes)
        (item,) = orjson.loads(found)["data"]
        assert item["content"][0]["image_url"] == shown
