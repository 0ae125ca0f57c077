"""The layout of a site's pages: navigation and shared files."""

import hashlib
import re
from importlib import resources
from typing import NamedTuple

from markupsafe import Markup

from harness.core.documents.document import Document
from harness.core.documents.escaping import visible
from harness.core.documents.render.html import charts_script, page_asset, page_parts

_LAYOUT = Markup("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{top}assets/page.css">
<link rel="stylesheet" href="{top}assets/site.css">
<title>{title}</title>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header class="site"><div role="navigation" aria-label="Site">
<a class="home" href="{top}index.html">{site}</a>
<a href="{top}branch/index.html">Branch</a>
<a href="{top}records.html">Records</a>
</div></header>
<div class="page">{contents}<div class="content"><main id="main">
{header}{lead}{main}
</main></div></div>
<script type="application/json" id="specs">{specs}</script>
{scripts}
</body>
</html>
""")


class Layout(NamedTuple):
    """What all pages share: the name of the site."""

    site: str

    def page(self, name: str, document: Document, lead: str = "") -> str:
        """Lay out a document as the page ``name``, with the markup ``lead`` before it."""
        top = "../" * name.count("/")
        parts = page_parts(document, top)
        scripts = ["vega.js"] * bool(parts.drawn) + ["page.js", "site.js"]
        content = _LAYOUT.format(
            top=top,
            title=f"{parts.title} · {visible(self.site)}" if parts.title != self.site else parts.title,
            site=visible(self.site),
            contents=parts.contents,
            header=parts.header,
            lead=lead,
            main=parts.main,
            specs=Markup(parts.drawn or "{}"),  # noqa: S704  safe in a script
            scripts=Markup("\n").join(
                Markup('<script src="{}assets/{}" defer></script>').format(top, script) for script in scripts
            ),
        )
        return str(content)


def shared_files() -> dict[str, str]:
    """Return the files that all pages share."""
    own = resources.files(__package__)
    return {
        "assets/page.css": str(page_asset("page.css")),
        "assets/page.js": str(page_asset("page.js")),
        "assets/vega.js": charts_script(),
        **{f"assets/{name}": own.joinpath(name).read_text("utf-8") for name in ("site.css", "site.js")},
    }


def slug(text: str) -> str:
    """Return the name of a page for a name of a task or a series."""
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]
    return base if base and base == text else f"{base}-{digest}"
