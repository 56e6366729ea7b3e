"""Sphinx: Markdown pages, cross references checked, warnings as errors."""

import inspect
import re

import supervision
import supervision.testing

project = "BeamClaw"
author = "The BeamClaw contributors"
copyright = "2026, the BeamClaw contributors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
# Fragments of changes become a page when a release is made.
exclude_patterns = ["_build", "changes/*.*.md"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

nitpicky = True
nitpick_ignore_regex = [
    # Names that no page of ours describes …
    ("py:.*", r"(trio|attrs|attr|collections|pathlib|typing|types|contextlib|abc)\b.*"),
    ("py:.*", r"(.*\.)?[A-Z](_co)?"),
    # … and those that a reader needs no page for: what they may be stands beside them.
    (
        "py:class",
        r"(.*\.)?(BrutalKill|ChildStatus|Kind|Process|Result|Start|Status|Timers)",
    ),
    # Of a generic class, typing remembers where its code is.
    ("py:class", r"supervision\._(state_values\.NextState|tasks\.TaskOk)"),
    (
        "py:class",
        r"(.*\.)?(Claimable|Directory|Done|Key|Locator|NoReply|Watcher|_Slot)",
    ),
]
# An attribute called `type` is not ambiguous with the class of classes.
suppress_warnings = ["ref.python"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "BeamClaw"

# What is public is documented where it is public, not in the module that has its code.
for facade in (supervision, supervision.testing):
    for name in facade.__all__:
        value = getattr(facade, name)
        code = inspect.isclass(value) or inspect.isfunction(value)
        if code and value.__module__.startswith("supervision."):
            value.__module__ = facade.__name__


def skip_plumbing(app, what, name, value, skip, options):  # noqa: ANN001, ANN201, PLR0917
    """Leave out methods that only the runtime calls: those that take or give its own."""
    del app, what, name, skip, options
    annotations = getattr(value, "__annotations__", {})
    hidden = re.compile(r"\bProcess\b")
    return True if any(map(hidden.search, map(str, annotations.values()))) else None


def setup(app):  # noqa: ANN001, ANN201
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_plumbing)
