"""The README: short, with recorded outputs, and with links that lead somewhere."""

import re
from pathlib import Path

import pytest
from support.pages import PAGES, ROOT, blocks

README = PAGES["README.md"].read_text()
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
LINKS = [
    pytest.param(path.parent / target, id=f"{page}: {target}")
    for page, path in [*PAGES.items(), ("results/README.md", ROOT / "results" / "README.md")]
    for target in LINK.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL))
    if "://" not in target
]
#: At least so many are tested.
FEWEST_LINKS, FEWEST_OUTPUTS = 70, 8
#: A path or an address that only the machine of the recording has.
FOREIGN = re.compile(r"/tmp/|/home/|/root|localhost|127\.0\.0\.1")  # noqa: S108


def test_it_has_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_the_first_command_installs_and_runs():
    first = blocks("README.md", "sh")[0].text
    assert first == (
        'python3 -m venv .venv && .venv/bin/pip install ".[torch]" && '
        ".venv/bin/harness run --backend torch --task cnn\n"
    )


def test_links_and_outputs_are_found():
    assert len(LINKS) >= FEWEST_LINKS
    assert sum(len(blocks(page, "text")) for page in PAGES) >= FEWEST_OUTPUTS


@pytest.mark.parametrize("target", LINKS)
def test_a_link_leads_to_a_file(target: Path):
    assert target.exists()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "text")])
def test_outputs_are_recorded_and_free_of_this_machine(page):
    for block in blocks(page, "text"):
        assert block.text.strip(), f"{page}: run docs/record/outputs.py"
        assert not FOREIGN.search(block.text)


def test_llms_txt_links_to_pages_that_exist():
    """The form of https://llmstxt.org: a title, a summary in a quotation, and sections of links."""
    title, _, summary, *rest = (ROOT / "docs" / "llms.txt").read_text().splitlines()
    assert title.startswith("# ")
    assert summary.startswith("> ")
    targets = [target for line in rest for target in LINK.findall(line)]
    pages = {page.removeprefix("docs/").removesuffix(".md") + ".html" for page in PAGES if "docs/" in page}
    assert set(targets) <= pages
    assert {"tutorial/first-comparison.html", "reference/commands.html"} <= set(targets)
