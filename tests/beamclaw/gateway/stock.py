"""The same paths on bare Quart-Trio and Hypercorn: what our guards are measured against.

``python -m tests.beamclaw.gateway.stock`` prints its port. A minute is 0.3 s here.
"""

import signal
import sys

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

app = QuartTrio(__name__)
app.config["RESPONSE_TIMEOUT"] = 0.3


@app.get("/healthz")
async def healthz():
    return {"ok": True}


@app.post("/v1/chat/completions")
async def chat():
    body = await request.get_json(force=True)
    words = body["messages"][0]["content"]

    async def flood():
        while True:
            yield b"data: " + b"x" * 60_000 + b"\n\n"

    async def slow():
        for _ in range(10):
            yield b"data: x\n\n"
            await trio.sleep(0.1)
        yield b"data: [DONE]\n\n"

    if words == "flood":
        return Response(flood(), content_type="text/event-stream")
    if words == "slow":
        return Response(slow(), content_type="text/event-stream")
    return {"answer": words}


async def main():
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1.0

    async def stop():
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                return

    async with trio.open_nursery() as nursery:
        bound = await nursery.start(
            lambda task_status: _serve(config, stop, task_status)
        )
        sys.stdout.write(bound[0].rpartition(":")[2])
        sys.stdout.flush()


async def _serve(config, stop, task_status):
    await serve(app, config, shutdown_trigger=stop, task_status=task_status)


if __name__ == "__main__":
    sys.exit(trio.run(main))
