"""How Sphinx builds the documentation: ``python -m sphinx -W -b html docs docs/_build/html``, offline."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "dl-harness"
author = "the dl-harness developers"
copyright = author  # noqa: A001  the name that Sphinx reads
release = version = installed_version("dl-harness")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "from_code",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "record/README.md"]
html_theme = "furo"
html_title = "dl-harness"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_display_short_literal_types = True
autodoc_default_options = {"members": True, "exclude-members": "Described"}
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True


def _as_prose(_app: object, what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Keep napoleon from reading the text of an attribute before a colon as its type."""
    if what == "attribute":
        lines[:0] = ["..", ""]  # an empty comment


def _literal_asterisks(_app: object, _context: object, lines: list[str]) -> None:
    """Help is plain text: ``torch:*`` in it begins no emphasis."""
    lines[:] = [line.replace(":*", ":\\*") for line in lines]


def _add_site(app: "Sphinx", error: Exception | None) -> None:
    """Publish the records of ``results/comparison`` beside the pages, if the extra "report" is installed."""
    records = Path(app.srcdir).parent / "results" / "comparison"
    if error is not None or app.builder.name != "html" or not records.is_dir():
        return
    try:
        from harness.sharing.publish.site import publish
    except ImportError:
        return
    publish(records, Path(app.outdir) / "comparison", "The comparison of results/", "")


def setup(app: "Sphinx") -> None:
    """Register what autodoc calls ahead of napoleon, what changes help, and the site of the comparison."""
    app.connect("build-finished", _add_site)
    app.connect("autodoc-process-docstring", _as_prose, priority=400)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _literal_asterisks)
