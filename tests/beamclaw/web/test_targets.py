"""Where a fetch may go: by its URL, and by every address that its name has."""
# ruff: noqa: RUF001 -- what only looks like other letters is what they are about

import pytest

from beamclaw.web.addresses import networks
from beamclaw.web.targets import Policy, Refused, checked, redirected, target

POLICY = Policy(ports=(80, 443, 8080))

# All of these are this machine, its networks, or what a cloud keeps keys at.
INSIDE = """
    127.0.0.1 127.1 127.0.1 2130706433 017700000001 0x7f000001 0x7f.0.0.1 0177.0.0.1
    0x7f.1 127.000.000.001 127.0.0.1. 127.255.255.254 0 0.0.0.0 0.1.2.3 0x0
    [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1]
    [::ffff:0:127.0.0.1] [2002:7f00:1::] [2002:0a00:0001::1] [64:ff9b::127.0.0.1]
    [64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::7f00:1] [64:ff9b:1:7f00:0:100::]
    [2001:0:7f00:1:0:0:80ff:fffe] [2001:0:4136:e378:8000:63bf:3fff:fdd2]
    [2606:4700::5efe:127.0.0.1] [2606:4700::200:5efe:10.0.0.1] [fe80::5efe:a00:1]
    169.254.169.254 169.254.170.2 2852039166 0xa9fea9fe 0251.0376.0251.0376
    [::ffff:169.254.169.254] [fd00:ec2::254] [fd20:ce::254] 100.100.100.200 168.63.129.16
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 100.127.0.1
    192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    [fc00::1] [fd12:3456::1] [fe80::1] [fec0::1] [ff02::1] [2001:db8::1] [3fff::1] [100::1]
    localhost localhost. LOCALHOST localhost.localdomain a.localhost intranet printer
    nas.local metadata.google.internal metadata router.lan box.home.arpa x.onion
    １２７.０.０.１ 127。0。0。1 １２７。１ ⑫7.0.0.1 loc𝒶lhost ⓛocalhost
""".split()  # noqa: SIM905 -- read as a list, not as a column


@pytest.mark.parametrize("host", INSIDE)
def test_nothing_inside_is_fetched_however_it_is_written(host):
    for url in (f"http://{host}/", f"https://{host}/x?y", f"HTTP://{host}:8080"):
        with pytest.raises(Refused):
            target(url, POLICY)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://page.example/", "ftp://page.example/"),
        *("data:text/html,hi", "javascript:alert(1)", "ws://page.example/"),
        *("jar:http://page.example/!/", "http:page.example", "http:/page.example"),
        *("//page.example/", "page.example", "", "http://", "http:///x", "https://?x"),
        *("http://user@page.example/", "http://user:word@page.example/"),
        *("http://page.example@127.0.0.1/", "http://:@page.example/"),
        *("http://page.example\\@127.0.0.1/", "http:\\\\127.0.0.1\\"),
        *("http://127.0.0.1\\.page.example/", "http://page.example\t.evil.example/"),
        *("http://page example/", "http://page.example\n/", "http://pa\x00ge.example/"),
        *(
            "http://%31%32%37.0.0.1/",
            "http://page%2eexample/",
            "http://pa%00ge.example",
        ),
        *("http://[::1/", "http://::1/", "http://[fe80::1%25eth0]/", "http://[v1.x]/"),
        *("http://page.example:0/", "http://page.example:99999/", "http://a.b:x/"),
        *("http://page.example:22/", "http://page.example:6379/", "http://a.b:+80/"),
        *("http://page..example/", "http://.page.example/", "http://page.example../"),
        *("http://-/", "http://1.2.3.4.5/", "http://1.2.3.256/", "http://page.0x/"),
        *("http://1_0.0.0.1/", "http://08.1.1.1/", "http://" + "a" * 64 + ".example/"),
        *("http://" + "a." * 130 + "example/", "http://page.example/" + "a" * 5_000),
        *(
            "http://a／b.example/",
            "http://a℀b.example/",
            "http://a\u200bb\ufffd.example",
        ),
    ],
)
def test_a_url_that_is_none_or_not_clear_is_refused(url):
    with pytest.raises(Refused):
        target(url, POLICY)


@pytest.mark.parametrize(
    "url, same",
    [
        ("https://page.example", "https://page.example/"),
        (" HTTPS://Page.EXAMPLE.:443/A?b#c ", "https://page.example/A?b"),
        ("http://page.example:8080/ä b", "http://page.example:8080/%C3%A4%20b"),
        (
            "https://page.example/%41?x=%2F&y=[1]",
            "https://page.example/%41?x=%2F&y=[1]",
        ),
        ("https://page.example?q=a\r\nb", "https://page.example/?q=a%0D%0Ab"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://ｐａｇｅ。example/", "https://page.example/"),
        ("http://93.184.215.14/", "http://93.184.215.14/"),
        ("http://0x5db8d70e/", "http://93.184.215.14/"),
        ("http://[2606:2800:21F::1]:80/", "http://[2606:2800:21f::1]/"),
        ("http://[64:ff9b::93.184.215.14]/", "http://[64:ff9b::5db8:d70e]/"),
        ("http://11.0.0.1/", "http://11.0.0.1/"),
        ("http://172.32.0.1/", "http://172.32.0.1/"),
    ],
)
def test_what_is_public_is_written_in_one_way(url, same):
    assert target(url, POLICY).url == same


PLACES = [host for host in INSIDE if host.isascii()]


@pytest.mark.parametrize("to", PLACES)
def test_a_redirect_is_judged_as_if_it_were_the_first(to):
    at = target("http://page.example/a/b", POLICY)

    for location in (f"http://{to}/", f"//{to}/"):
        with pytest.raises(Refused):
            redirected(location, POLICY, at=at)


@pytest.mark.parametrize(
    "location, url",
    [
        ("c?d", "https://page.example/a/c?d"),
        ("/e#f", "https://page.example/e"),
        ("//other.example/", "https://other.example/"),
        ("https://other.example", "https://other.example/"),
        ("?x", "https://page.example/a/b?x"),
    ],
)
def test_a_redirect_is_read_from_where_it_was_met(location, url):
    at = target("https://page.example/a/b", POLICY)

    assert redirected(location, POLICY, at=at).url == url


@pytest.mark.parametrize(
    "location",
    [
        *("http://page.example/", "http://other.example/", "file:///etc/passwd"),
        *("https://me:word@page.example/", "//[", "https://page.example\r\nX: y/"),
    ],
)
def test_a_redirect_from_https_leads_to_nothing_less(location):
    at = target("https://page.example/", POLICY)

    with pytest.raises(Refused):
        redirected(location, POLICY, at=at)


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        ["127.0.0.1"],
        ["93.184.215.14", "10.0.0.1"],
        ["2606:2800:21f::1", "::1"],
        ["93.184.215.14", "fd00:ec2::254"],
        ["fe80::1%eth0"],
        ["93.184.215.14", "no address"],
    ],
)
def test_one_address_inside_is_enough_to_refuse_a_name(addresses):
    with pytest.raises(Refused):
        checked(target("http://page.example/", POLICY), addresses, POLICY)


def test_addresses_are_given_once_and_in_order():
    found = checked(
        target("http://page.example/", POLICY),
        ["2606:2800:21f::1", "93.184.215.14", "2606:2800:21f::1"],
        POLICY,
    )
    assert [str(each) for each in found] == ["2606:2800:21f::1", "93.184.215.14"]


def test_a_network_can_be_admitted_but_never_what_keeps_keys():
    policy = Policy(admitted=networks(["192.168.1.7/24", "169.254.0.0/16", "fc00::/7"]))

    assert target("http://192.168.1.1/", policy).host == "192.168.1.1"
    assert target("http://[::ffff:192.168.1.1]/", policy)
    assert target("http://nas.local/", policy).host == "nas.local"
    for inside in ("192.168.2.1", "127.0.0.1", "169.254.169.254", "[fd00:ec2::254]"):
        with pytest.raises(Refused):
            target(f"http://{inside}/", policy)
    with pytest.raises(Refused):
        checked(
            target("http://nas.local/", policy), ["192.168.1.1", "10.0.0.1"], policy
        )


def test_hosts_can_be_named_that_are_fetched_from_and_no_others():
    policy = Policy(hosts=("page.example", "*.wiki.example"))

    assert target("http://PAGE.example./", policy)
    assert target("http://de.wiki.example/", policy)
    for other in ("wiki.example", "xpage.example", "a.page.example", "93.184.215.14"):
        with pytest.raises(Refused, match=r"tools\.web\.hosts"):
            target(f"http://{other}/", policy)
