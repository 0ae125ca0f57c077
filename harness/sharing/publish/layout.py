"""The layout of a site's pages: navigation, shared files, and links from ids of records to their pages."""

import re
from importlib import resources
from typing import NamedTuple

from markupsafe import Markup, escape

from harness.core.documents.document import Document
from harness.core.documents.escaping import visible
from harness.core.documents.render.html import charts_script, page_asset, page_parts
from harness.sharing.publish.index import digest_of

#: Charts of more bytes lie in a file beside the page.
_MOST_INLINE = 60_000
_ID = re.compile(r"\d{8}-\d{6}-\d{3}-[\w:.-]*\w")
_TAGS = re.compile(r"(<[^>]*>)")
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
<link rel="alternate" type="application/atom+xml" title="Changes" href="{top}feed.xml">
<title>{title}</title>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header class="site"><div role="navigation" aria-label="Site">
<a class="home" href="{top}index.html">{site}</a>
<a href="{top}branch/index.html">Branch</a>
<a href="{top}records.html">Records</a>
<a href="{top}machines/index.html">Machines</a>
</div><form role="search" action="{top}records.html"><input type="search" name="q" aria-label="Search records"
placeholder="Search records  /"></form></header>
<div class="page">{contents}<div class="content"><main id="main">
{header}{actions}{lead}{main}
</main></div></div>
<script type="application/json" id="specs">{specs}</script>
{scripts}
</body>
</html>
""")


class Layout(NamedTuple):
    """What all pages share: the name of the site, and the pages of records by their ids."""

    site: str
    pages: dict[str, str]

    def page(
        self,
        name: str,
        document: Document,
        *,
        lead: str = "",
        actions: str = "",
    ) -> dict[str, str]:
        """Lay out a document as the page ``name``; return its files by their names from the top of the site.

        The markup ``actions`` and ``lead`` comes before the document.
        """
        top = "../" * name.count("/")
        parts = page_parts(document, top)
        files: dict[str, str] = {}
        scripts, specs = [], parts.drawn or "{}"
        if parts.drawn:
            scripts.append("assets/vega.js")
            if len(parts.drawn) > _MOST_INLINE:
                beside = name.removesuffix(".html") + ".charts.js"
                files[beside] = f'document.getElementById("specs").textContent=JSON.stringify({parts.drawn});'
                scripts.append(beside)
                specs = "{}"
        scripts += ["assets/page.js", "assets/site.js"]
        content = _LAYOUT.format(
            top=top,
            title=f"{parts.title} · {visible(self.site)}" if parts.title != self.site else parts.title,
            site=visible(self.site),
            contents=parts.contents,
            header=parts.header,
            actions=actions,
            lead=lead,
            main=self.linked(parts.main, top, name),
            specs=Markup(specs),  # noqa: S704  safe in a script
            scripts=Markup("\n").join(
                Markup('<script src="{}{}" defer></script>').format(top, script) for script in scripts
            ),
        )
        files[name] = str(content)
        return files

    def linked(self, markup: Markup, top: str, own: str) -> Markup:
        """Make the ids of records in the texts of elements links to their pages, apart from ``own``."""
        if not _ID.search(markup):
            return markup
        parts, inside = _TAGS.split(markup), 0
        for place, part in enumerate(parts):
            if place % 2:
                inside += part.startswith("<a ") - (part == "</a>")
            elif not inside and "-" in part:
                parts[place] = _ID.sub(lambda match: self._link(match[0], top, own), part)
        return Markup("".join(parts))  # noqa: S704  parts of markup

    def _link(self, text: str, top: str, own: str) -> str:
        page = self.pages.get(text)
        return str(Markup('<a href="{}{}">{}</a>').format(top, page, text)) if page and page != own else text


def json_link(address: str) -> Markup:
    """Return the link of a record's page to its JSON."""
    return Markup('<p class="actions"><a href="{}">JSON of this record</a></p>').format(escape(address))


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
    """Return the name of a page for a name of a task, a machine or a series."""
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    return base if base and base == text else f"{base}-{digest_of([text])[:6]}"
