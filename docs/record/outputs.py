"""Record the output of the documentation's commands: ``python docs/record/outputs.py [PAGE ...]``.

A page names a command in a comment, and the block after it holds what the command printed::

    <!-- record: harness duel torch keras --task mlp -->
    ```text
    keras:fit is faster ...
    ```

The commands of a page run in order, all in one temporary folder. ``run`` instead of ``record`` runs a command
without a block. ``(exit 1)`` before the colon is the expected exit code (default: 0), and ``(lines 1-20)``
keeps part of the output. Only standard output is kept; progress goes to standard error. A command may copy a
picture to the folder ``$DOCS_IMAGES``, and show a record of ``results/comparison``, which is ``$COMPARISON``.

``--cifar10 ARCHIVE`` imports CIFAR-10 first; without it a machine that cannot download the data records runs
on ``digits``. Run it on a quiet machine: duels on a busy one are longer and less precise.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMMENT = re.compile(
    r"<!-- (?P<kind>run|record)"
    r"(?: \(exit (?P<code>\d+)\))?(?: \(lines (?P<first>\d+)-(?P<last>\d+)\))?: (?P<command>.+?) -->"
    r"(?P<block>\n+```text\n.*?```)?",
    re.DOTALL,
)
#: Of the terminal that is imitated. A wider table would be cut off on the page.
COLUMNS = "100"


class Recorded(NamedTuple):
    """A command that a page names, and what the page shows of its output."""

    command: str
    is_shown: bool
    exit_code: int
    lines: slice
    shown: str


def recorded(text: str) -> Iterator[Recorded]:
    """Every command that this page's text has run or recorded, in order.

    Raises:
        ValueError: a command to record has no block for its output.
    """
    for match in COMMENT.finditer(text):
        is_shown = match["kind"] == "record"
        if is_shown and match["block"] is None:
            raise ValueError(f"no ```text block follows <!-- record: {match['command']} -->")
        block = (match["block"] or "").strip().removeprefix("```text\n").removesuffix("```")
        lines = slice(int(match["first"]) - 1, int(match["last"])) if match["first"] else slice(None)
        yield Recorded(match["command"], is_shown, int(match["code"] or 0), lines, block)


def pages() -> list[Path]:
    """Every page that records a command."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [file for file in files if COMMENT.search(file.read_text()) and "_build" not in file.parts]


def scrubbed(output: str, folder: Path) -> str:
    """The output without what is of this machine: folders, and the spaces that end a line."""
    for place, name in ((folder, "."), (ROOT, "."), (Path(sys.prefix), ".venv"), (Path.home(), "~")):
        output = output.replace(f"{place}{os.sep}", f"{name}/".removeprefix("./")).replace(str(place), name)
    return "\n".join(line.rstrip() for line in output.strip("\n").splitlines())


def run(entry: Recorded, folder: Path, variables: dict[str, str]) -> str:
    """Run a command and return what it printed.

    Raises:
        SystemExit: its exit code is not the expected one.
    """
    print(f"$ {entry.command}", file=sys.stderr, flush=True)
    done = subprocess.run(
        ["/bin/bash", "-c", entry.command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != entry.exit_code:
        raise SystemExit(f"exit code {done.returncode}, not {entry.exit_code}\n{done.stdout}{done.stderr}")
    return "\n".join(scrubbed(done.stdout, folder).splitlines()[entry.lines])


def record(page: Path, variables: dict[str, str]) -> None:
    """Run a page's commands and rewrite the blocks that follow them.

    Raises:
        SystemExit: the commands of the page were edited meanwhile.
    """
    entries = list(recorded(page.read_text()))
    with tempfile.TemporaryDirectory(prefix="record-") as name:
        outputs = [run(entry, Path(name), variables) for entry in entries]
    text = page.read_text()  # edits that were made meanwhile stay
    if [entry.command for entry in recorded(text)] != [entry.command for entry in entries]:
        raise SystemExit(f"the commands of {page} changed during the recording")

    def with_output(match: re.Match[str]) -> str:
        output = outputs.pop(0)
        if match["kind"] == "run":
            return match[0]
        comment = match[0].removesuffix(match["block"])
        return f"{comment}\n\n```text\n{output}\n```"

    page.write_text(COMMENT.sub(with_output, text))


def main() -> None:
    """Record the named pages, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="default: every page with a recorded command")
    parser.add_argument(
        "--cifar10", type=Path, metavar="ARCHIVE", help="CIFAR-10, imported before the first command"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="record-data-") as data:
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        variables = {**os.environ, "PATH": programs, "COLUMNS": COLUMNS, "HARNESS_DATA_DIR": data}
        variables["DOCS_IMAGES"] = str(ROOT / "docs" / "images")
        variables["COMPARISON"] = str(ROOT / "results" / "comparison")
        if arguments.cifar10:
            command = ["harness", "data", "import", "cifar10", str(arguments.cifar10.resolve())]
            subprocess.run(command, env=variables, check=True)
        for page in arguments.pages or pages():
            record(page, variables)


if __name__ == "__main__":
    main()
