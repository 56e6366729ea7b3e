"""Sphinx: Markdown pages, cross references checked, warnings as errors."""

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
# Names that no page of ours describes.
nitpick_ignore_regex = [
    ("py:.*", r"(trio|attrs|attr|collections|pathlib|typing|types|contextlib|abc)\b.*"),
    ("py:.*", r"[TRK](_co|_contra)?"),
    ("py:.*", r"(optional|callable|str|int|float|bool|bytes|object|None)"),
    ("py:exc", r"[A-Z]\w*Error"),
]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "BeamClaw"
