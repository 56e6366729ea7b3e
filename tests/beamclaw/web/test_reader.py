"""What there is to read in a page: the text it is about, as a person would see it."""

import pytest

from beamclaw.web._reader import read

WORDS = "Some words that weigh enough to be what the page is about, with more behind. "


def reading(page, mode="markdown", *, most=100_000, charset="", form="html"):
    order = {
        "form": form,
        "charset": charset,
        "url": "https://page.example/a/b",
        "mode": mode,
        "most": most,
    }
    return read(order, page.encode() if isinstance(page, str) else page)


def text(page, mode="markdown"):
    return str(reading(page, mode)["text"])


PAGE = f"""<!doctype html><html><head><title> A &amp;
 B </title><style>x {{}}</style><script>"<p>no</p>"</script></head>
<body><nav><a href="/">Home</a> All of it</nav><div class="sidebar"><p>Buy</div>
<main><h1>Head <em>line</em></h1><p>{WORDS}<a href="x?a=1&b=2">a link</a>, <b>bold </b>text.
<p>After<br>a break<ul><li>one<li>two<ul><li>deep</ul><li>three</ul>
<ol><li>x<li>y</ol><pre>code
  here</pre><table><tr><th>A<th>B<tr><td>1<td>2|3</table>
<blockquote><p>said<p>more</blockquote><hr><img src=x alt="a  cat"></main>
<footer>foot</footer></body></html>"""


def test_a_page_as_markdown():
    found = reading(PAGE)

    assert found["title"] == "A & B"
    assert (
        found["text"]
        == f"""# Head *line*

{WORDS}[a link](https://page.example/a/x?a=1&b=2), **bold** text.

After
a break

- one
- two
  - deep
- three

1. x
2. y

```
code
  here
```

| A | B |
| --- | --- |
| 1 | 2\\|3 |

> said
>
> more

---

[image: a cat]"""
    )


def test_a_page_as_text():
    assert (
        text(PAGE, "text")
        == f"""Head line

{WORDS}a link, bold text.

After
a break

- one
- two
  - deep
- three

1. x
2. y

code
  here

A\tB
1\t2|3

said

more

[image: a cat]"""
    )


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>evil</script>",
        "<style>evil</style>",
        "<noscript>evil</noscript>",
        "<template><p>evil</template>",
        "<svg><text>evil</text></svg>",
        "<iframe>evil</iframe>",
        "<textarea>evil</textarea>",
        "<button>evil</button>",
        "<!-- evil -->",
        "<p hidden>evil</p>",
        '<p aria-hidden="true">evil</p>',
        '<p style="display: none">evil</p>',
        '<p style="color:red;DISPLAY:none !important">evil</p>',
        '<p style="visibility:hidden">evil</p>',
        '<p style="opacity: 0">evil</p>',
        '<p style="font-size:0px">evil</p>',
        '<p style="position:absolute; left: -9999px">evil</p>',
        '<p style="text-indent:-9999px">evil</p>',
        '<p style="color: transparent">evil</p>',
        '<p style="width:0;height:0">evil</p>',
        '<p class="a sr-only">evil</p>',
        '<p class="visually-hidden">evil</p>',
        "<div hidden><div>evil</div>evil</div>",
        "<nav>evil</nav>",
        '<div role="banner">evil</div>',
        '<div class="cookie-banner">evil</div>',
    ],
)
def test_what_a_person_does_not_see_is_not_read(hidden):
    assert text(f"<main><p>{WORDS}</p>{hidden}<p>{WORDS}</p></main>") == (
        f"{WORDS.strip()}\n\n{WORDS.strip()}"
    )


def test_a_page_that_is_nothing_but_what_is_around_is_read_all_the_same():
    assert text("<nav><a href='/a'>A</a></nav>") == "[A](https://page.example/a)"


def test_the_text_is_found_without_a_mark_for_it():
    page = (
        "<div><div><ul><li><a href=/>Home</a><li><a href=/x>X</a></ul></div>"
        f"<div><div><p>{WORDS}</p><p>{WORDS}</p></div></div><div>Tail</div></div>"
    )
    assert text(page) == f"{WORDS.strip()}\n\n{WORDS.strip()}"


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "#there",
        "",
        "file:///etc/passwd",
        "//[",
    ],
)
def test_a_link_to_no_page_is_only_its_words(href):
    assert text(f'<p>a <a href="{href}">b</a> c') == "a b c"


def test_a_link_cannot_leave_its_mark():
    assert text('<a href="/x)y (z">a</a>') == "[a](https://page.example/x%29y%20%28z)"


def test_links_are_read_from_the_base():
    assert text('<base href="//other.example/c/"><a href=d>a</a>') == (
        "[a](https://other.example/c/d)"
    )


def test_code_cannot_leave_its_fence():
    assert text("<pre>a\n```\nb</pre>") == "````\na\n```\nb\n````"


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 5_000 + "x" + "</div>" * 5_000,
        "<b>" * 5_000 + "x",
        "x" + "<table><tr><td>" * 5_000 + "y",
        "x" + "<ul><li>" * 5_000 + "y",
        "x" + "</div>" * 100_000,
        "<p>x<![if a]><![CDATA[y]]><!DOCTYPE z><?php ?></ ><//><!>",
        "x<a href='",
        "x<!--",
        "x<script>y",
        "&#0;&#xd800;&#x110000;x",
    ],
)
def test_a_page_that_is_none_is_read_as_far_as_it_goes(page):
    assert "x" in text(page)


def test_too_many_elements_are_cut(monkeypatch):
    monkeypatch.setattr("beamclaw.web._reader._MOST_ELEMENTS", 100)
    found = reading("<b>x</b>" * 1_000)

    assert found["cut"]
    assert str(found["text"]).startswith("**x**")


def test_a_long_text_is_cut():
    found = reading(f"<p>{'x' * 100}", most=10)

    assert (found["text"], found["cut"]) == ("x" * 10, True)


@pytest.mark.parametrize(
    "body, charset, said",
    [
        ("ä€".encode(), "", "ä€"),
        ("ä€ so".encode("cp1252"), "", "ä€ so"),
        ("ä€".encode("cp1252"), "iso-8859-1", "ä€"),
        ("ä€".encode("utf-16"), "", "ä€"),
        ("ä€".encode("utf-8-sig"), "iso-8859-1", "ä€"),
        ("日本".encode("shift_jis"), "shift_jis", "日本"),
        ("日本".encode("gb18030"), "gb2312", "日本"),
        (b"<meta charset='euc-jp'>" + "日本".encode("euc-jp"), "", "日本"),
        (
            b'<meta http-equiv=x content="text/html; charset=koi8-r">'
            + "да".encode("koi8-r"),
            "nonsense",
            "да",
        ),
        (b"+ADw-b+AD4-", "utf-7", "+ADw-b+AD4-"),
        (b"78da", "hex", "78da"),
        ("aä".encode()[:-1], "", "a"),
        (b"a\xff\xfe", "utf-8", "a\ufffd\ufffd"),
    ],
)
def test_letters_are_read_as_they_are_meant(body, charset, said):
    assert reading(body, charset=charset)["text"] == said


def test_what_is_no_page_is_left_as_it_is():
    found = reading('{"a":  "<b>"}\r\n', form="text")

    assert found == {"title": "", "text": '{"a":  "<b>"}\n', "cut": False}
