"""The reference page of the gateway's methods is what the table of methods says."""

from scripts.methods import PAGE, page


def test_the_reference_page_has_every_method_as_it_is():
    text = PAGE.read_text()
    assert text == page(text), "run: python -m scripts.methods"
