"""Chat completions over real sockets, with OpenAI's own client where it can."""


async def test_an_answer_comes_whole(node):
    async with node.client() as client:
        answer = await client.chat.completions.create(
            model="openclaw", messages=[{"role": "user", "content": "hello"}]
        )
    assert answer.choices[0].message.content == "hello"


async def test_an_answer_is_streamed(node):
    async with node.client() as client:
        stream = await client.chat.completions.create(
            model="openclaw",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "hello"
