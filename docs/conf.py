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
    ("py:.*", r"(.*\.)?[A-Z]s?(_co)?"),
    # … and those that a reader needs no page for: what they may be stands beside them.
    (
        "py:class",
        r"(.*\.)?(BrutalKill|ChildStatus|Kind|Process|Result|ShutdownValue|Start|Status|Timers)",
    ),
    # A word in single backticks is a link if there is something of that name.
    ("py:obj", r".*"),
    # Of a generic class, typing remembers where its code is.
    ("py:class", r"supervision\._(state_values\.NextState|tasks\.TaskOk)"),
    (
        "py:class",
        r"(.*\.)?(Claimable|Directory|Done|Key|Locator|NoReply|Overload|Watcher|_Slot)",
    ),
]
# An attribute called `type` is not ambiguous with the class of classes.
suppress_warnings = ["ref.python"]

# Types stand in signatures, under the names that a reader knows.
autodoc_typehints = "signature"
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
autodoc_preserve_defaults = False
autodoc_type_aliases = {
    name: f"supervision.{name}"
    for name in (
        *("Action", "AutoShutdown", "ChildType", "Dest", "EnterResult", "ExitReason"),
        *("Name", "RestartKind", "StateEvent", "StateResult", "Strategy"),
    )
}
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
# The fields of a value in one list, not as so many entries of their own.
napoleon_use_ivar = True
# `Name` in a docstring is a link.
default_role = "py:obj"

html_theme = "furo"
html_title = "BeamClaw"

# What is public is documented where it is public, not in the module that has its code.
for facade in (supervision, supervision.testing):
    for name in facade.__all__:
        value = getattr(facade, name)
        if inspect.isclass(value) and value.__module__.startswith("supervision."):
            value.__module__ = facade.__name__


# What only the runtime calls, and what only the runtime makes.
PLUMBING = {
    *("From.abort", "From.expire", "From.refuse", "From.settle"),
    *("Registry.handle_call", "Registry.init", "StartFailed.flat"),
    *("Task.finished", "Task.order_end", "Task.outcome", "Task.run"),
    *("GenericTimeout.key", "Via.claim"),
}
MADE_FOR_YOU = {
    *("From", "GroupRef", "Pid", "Ref", "RequestId", "Task", "Timer"),
}


def skip_plumbing(app, what, name, value, skip, options):  # noqa: ANN001, ANN201, PLR0917
    """Leave out methods that are not for readers."""
    del app, what, name, skip, options
    function = getattr(value, "fget", value)
    if getattr(function, "__qualname__", None) in PLUMBING:
        return True
    annotations = getattr(value, "__annotations__", {})
    hidden = re.compile(r"\bProcess\b")
    return True if any(map(hidden.search, map(str, annotations.values()))) else None


def tidy_signature(app, what, name, value, options, arguments, returns):  # noqa: ANN001, ANN201, PLR0917
    """Leave out constructors that nobody calls; show aliases in unions by their names."""
    del app, name, options
    error = what == "exception" and issubclass(value, supervision.SupervisionError)
    if error or (what == "class" and value.__qualname__ in MADE_FOR_YOU):
        return arguments and "", None
    alias = re.compile(r"(?:~?[\w.]*\.)?TypeAliasForwardRef\('([\w.]+)'\)")
    return tuple(text and alias.sub(r"\1", text) for text in (arguments, returns))


def setup(app):  # noqa: ANN001, ANN201
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_plumbing)
    app.connect("autodoc-process-signature", tidy_signature)
