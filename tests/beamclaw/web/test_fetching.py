"""A page is fetched from where it was judged to be, and no more of it than is wanted."""

import gzip
import zlib

import pytest
import trio

from beamclaw.web.exchange import Failed, _Unpacker
from beamclaw.web.fetching import fetch
from beamclaw.web.targets import Policy, Refused, target
from tests.beamclaw.web.stage import (
    NAMES,
    OTHER,
    PUBLIC,
    SIX,
    answer,
    moved,
    opened,
    packed,
)

PAGE = "http://page.example/"


async def follow_all(to):
    pass


async def fetched(net, url=PAGE, follows=follow_all, policy=None, **bounds):
    way = net.way(policy, **bounds)
    return await fetch(target(url, way.policy), way, follows)


async def test_a_page_is_fetched_without_a_word_about_a_person():
    async with opened() as net:
        net.pages["/a?b"] = answer(b"<p>Hi", Set_Cookie="me=1")
        page = await fetched(
            net, "http://page.example:8080/a?b#c", policy=Policy(ports=(8080,))
        )

    assert (page.status, page.body, page.cut, page.kind.form) == (
        200,
        b"<p>Hi",
        False,
        "html",
    )
    assert net.connected == [(PUBLIC, 8080)]
    (request,) = net.requests
    names = {
        line.partition(":")[0].lower() for line in request.splitlines()[1:] if line
    }
    assert names == {
        *("host", "user-agent", "accept", "accept-language", "accept-encoding"),
        "connection",
    }
    assert "GET /a?b HTTP/1.1\r\nHost: page.example:8080\r\n" in request


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with opened() as net:
        net.pages["/"] = answer(b"x")
        await fetched(net)

    assert net.connected == [(PUBLIC, 80)]


async def test_a_redirect_is_followed_without_cookies():
    async with opened() as net:
        net.pages["/"] = answer(
            status=301, Location="//other.example/b", Set_Cookie="me=1"
        )
        net.pages["/b"] = answer(b"x")
        page = await fetched(net)

    assert (page.at.url, page.hops) == ("http://other.example/b", 1)
    assert net.connected == [(PUBLIC, 80), (OTHER, 80)]
    assert "cookie" not in net.requests[1].lower()
    assert "referer" not in net.requests[1].lower()


@pytest.mark.parametrize(
    "inside",
    [
        *("127.0.0.1", "2130706433", "0x7f.1", "0177.1", "[::1]", "[::ffff:127.0.0.1]"),
        *("[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[2001::7f00:1]", "0.0.0.0"),
        *("169.254.169.254", "[fd00:ec2::254]", "localhost.", "inside.example"),
    ],
)
async def test_no_redirect_leads_inside(inside):
    async with opened() as net:
        net.names["inside.example"] = ["10.0.0.1"]
        net.pages["/"] = moved(f"http://{inside}/")
        with pytest.raises(Refused):
            await fetched(net)

    assert net.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "gopher://page.example/", "http://a:b@page.example/"]
)
async def test_no_redirect_leads_to_something_else(to):
    async with opened() as net:
        net.pages["/"] = moved(to)
        with pytest.raises(Refused):
            await fetched(net)


async def test_no_redirect_leads_from_https_to_http():
    async with opened() as net:
        net.pages["/"] = moved(PAGE)
        with pytest.raises(Refused, match="from https to http"):
            await fetched(net, "https://page.example/")

    assert net.connected == [(PUBLIC, 443)]


async def test_redirects_come_to_an_end():
    async with opened() as net:
        net.pages["/"] = moved("/")
        with pytest.raises(Refused, match="5 redirects"):
            await fetched(net)

    assert len(net.connected) == 6


async def test_a_redirect_is_asked_about():
    asked = []

    async def follows(to):
        asked.append(to.url)
        raise Refused("not there")

    async with opened() as net:
        net.pages["/"] = moved("http://other.example/")
        with pytest.raises(Refused, match="not there"):
            await fetched(net, follows=follows)

    assert asked == ["http://other.example/"]
    assert net.connected == [(PUBLIC, 80)]


# --- names


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], [PUBLIC, "10.0.0.1"], [SIX, "::1"], ["fd00:ec2::254"], [], None],
)
async def test_a_name_with_an_address_inside_is_not_connected_to(addresses):
    async with opened() as net:
        net.names["page.example"] = addresses
        with pytest.raises((Refused, Failed)):
            await fetched(net)

    assert net.connected == []


async def test_a_name_that_leads_elsewhere_when_asked_again_is_asked_once():
    async with opened() as net:
        net.names["page.example"] = [[PUBLIC], ["127.0.0.1"]]
        net.pages["/"] = answer(b"x")
        await fetched(net)
        assert (net.asked, net.connected) == (["page.example"], [(PUBLIC, 80)])
        with pytest.raises(Refused):
            await fetched(net)


async def test_the_next_hop_is_looked_up_anew():
    async with opened() as net:
        net.names["page.example"] = [[PUBLIC], ["127.0.0.1"]]
        net.pages["/"] = moved("/again")
        with pytest.raises(Refused):
            await fetched(net)

    assert net.connected == [(PUBLIC, 80)]


async def test_an_address_is_not_looked_up():
    async with opened() as net:
        net.pages["/"] = answer(b"x")
        await fetched(net, f"http://[{SIX}]/")

    assert (net.asked, net.connected) == ([], [(SIX, 80)])
    assert f"Host: [{SIX}]\r\n" in net.requests[0]


async def test_the_certificate_has_to_be_that_of_the_name():
    async with opened() as net:
        net.names["strange.example"] = NAMES["page.example"]
        net.pages["/"] = answer(b"x")
        assert (await fetched(net, "https://page.example/")).body == b"x"
        with pytest.raises(Failed, match="certificate"):
            await fetched(net, "https://strange.example/")


# --- bodies


async def endless(stream):
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        await stream.send_all(b"x" * 10_000)


async def endless_pieces(stream):
    await stream.send_all(answer(Transfer_Encoding="chunked"))
    while True:
        await stream.send_all(b"1\r\nx\r\n" * 1_000)


@pytest.mark.parametrize("pages", [endless, endless_pieces])
async def test_a_body_without_an_end_is_cut(pages):
    async with opened() as net:
        net.pages["/"] = pages
        page = await fetched(net, bytes=50_000)

    assert page.cut
    assert len(page.body) <= 50_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "GZIP "])
async def test_a_bomb_is_unpacked_as_far_as_is_wanted(coding):
    bomb = gzip.compress(bytes(20_000_000))
    if coding == "deflate":
        bomb = zlib.compress(bytes(20_000_000))
    async with opened() as net:
        net.pages["/"] = answer(bomb, Content_Encoding=coding)
        page = await fetched(net, bytes=100_000)

    assert page.cut
    assert len(page.body) == 100_000


def test_no_more_of_a_bomb_is_in_memory_than_is_wanted():
    unpack = _Unpacker("gzip", 100_000)
    unpack.feed(gzip.compress(bytes(20_000_000)))

    assert unpack.full
    assert len(unpack.found) == 100_001


async def test_what_is_packed_is_unpacked():
    async with opened() as net:
        net.pages["/"] = packed("<p>ä".encode() * 1000)
        page = await fetched(net)

    assert (page.body, page.cut) == ("<p>ä".encode() * 1000, False)


@pytest.mark.parametrize(
    "said",
    [
        answer(b"x", Content_Encoding="br"),
        answer(b"x", Content_Encoding="gzip, gzip"),
        answer(b"no gzip", Content_Encoding="gzip"),
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"b" * 500_000,
        b"HTTP/1.1 103 Early\r\n\r\n" * 100,
        b"HTTP/1.1 101 Other\r\nUpgrade: h2c\r\n\r\n",
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
        b"",
    ],
)
async def test_a_server_that_says_something_else_has_failed(said):
    async with opened() as net:
        net.pages["/"] = said
        with pytest.raises(Failed):
            await fetched(net)


async def test_what_came_before_the_connection_broke_is_kept():
    async with opened() as net:
        net.pages["/"] = answer(b"<p>half", Content_Length=100)
        page = await fetched(net)

    assert (page.body, page.cut) == (b"<p>half", True)


@pytest.mark.parametrize(
    "kind",
    [
        "application/pdf",
        "image/png",
        "video/mp4",
        "application/zip",
        "font/woff2",
        "a/b",
    ],
)
async def test_what_is_no_text_is_refused_in_words(kind):
    async with opened() as net:
        net.pages["/"] = answer(b"x", kind=kind)
        with pytest.raises(Refused, match=kind):
            await fetched(net)


@pytest.mark.parametrize("body", [b"%PDF-1.7", b"\x89PNG\r\n", b"a\0b", b"PK\x03\x04"])
async def test_what_nobody_says_is_no_text_is_seen(body):
    async with opened() as net:
        net.pages["/"] = answer(body, kind="application/octet-stream")
        with pytest.raises(Refused):
            await fetched(net)


@pytest.mark.parametrize(
    "kind, body, form",
    [
        ("", b" <!DOCTYPE html>x", "html"),
        ("", b"plain", "text"),
        ("text/html; charset=utf-8", b"plain", "html"),
        ("application/xhtml+xml", b"x", "html"),
        ("application/ld+json", b"{}", "text"),
        ("text/markdown", b"<html>", "text"),
    ],
)
async def test_a_text_is_read_as_what_it_is(kind, body, form):
    async with opened() as net:
        net.pages["/"] = answer(body, kind=kind)
        page = await fetched(net)

    assert page.kind.form == form


# --- time


async def drip(stream):
    for byte in answer(b"x" * 100):
        await stream.send_all(bytes([byte]))
        await trio.sleep(1)


async def drip_body(stream):
    await stream.send_all(answer(Content_Length=10**9))
    while True:
        await stream.send_all(b"x")
        await trio.sleep(1)


async def silent(stream):
    await trio.sleep_forever()


@pytest.mark.parametrize("pages", [drip, drip_body, silent])
async def test_a_server_that_takes_its_time_is_left(pages, autojump_clock):
    async with opened(real=False) as net:
        net.pages["/"] = pages
        with pytest.raises(Failed, match="30 seconds"):
            await fetched(net)

    assert trio.current_time() == 30


async def test_redirects_do_not_begin_the_time_anew(autojump_clock):
    async def later(stream):
        await trio.sleep(9)
        await stream.send_all(moved("/"))

    async with opened(real=False) as net:
        net.pages["/"] = later
        with pytest.raises(Failed, match="30 seconds"):
            await fetched(net)

    assert trio.current_time() == 30


async def test_a_name_that_nobody_answers_for_is_left(autojump_clock):
    async with opened(real=False) as net:

        async def resolve(host, port):
            await trio.sleep_forever()

        net.resolve = resolve
        with pytest.raises(Failed, match="10 seconds"):
            await fetched(net)
