"""The pages of the documentation and their code blocks, so that tests can run what readers copy."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
#: Every page, by its path from the repository's root.
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    if "_build" not in path.parts
}
_FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page. ``language`` is what follows the fence, such as ``sh`` or ``{toctree}``."""

    page: str
    language: str
    text: str


def blocks(page: str, language: str | None = None) -> list[Block]:
    """The blocks of a page, of one language or of all."""
    text = PAGES[page].read_text()
    found = [Block(page, match["language"], match["text"]) for match in _FENCE.finditer(text)]
    return [block for block in found if language in {None, block.language}]


def module(page: str, name: str) -> str:
    """The block of a page that is the Python file of this name."""
    (source,) = [block.text for block in blocks(page, "python") if block.text.startswith(f'"""{name}.py:')]
    return source


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, or of the lines of a workflow that run something, as words."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "yaml":
        matches = (re.search(r"(?:^\s*- |run: )((?:harness|pip|git) .*)", line) for line in lines)
        lines = [match[1] for match in matches if match]
    words = [shlex.split(line, comments=True) for line in lines]
    return [part for line in words for part in _split(line, "&&") if part]


def _split(words: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
