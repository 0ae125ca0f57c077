"""The documentation builds without a warning and without a network connection."""

import os
import re
import subprocess
import sys

import pytest
from support.pages import PAGES, ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("sphinx_click")
    folder = tmp_path_factory.mktemp("html")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-E", str(ROOT / "docs"), str(folder)],
        env={**os.environ, "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_built_and_loads_nothing_from_elsewhere(built):
    pages = [page.removeprefix("docs/").removesuffix(".md") for page in PAGES if page.startswith("docs/")]
    for page in pages:
        text = (built / f"{page}.html").read_text()
        assert not re.findall(r'(?:src|<link[^>]*href)="https?://[^"]*"', text)
    assert (built / "llms.txt").is_file()


@pytest.mark.slow
def test_the_reference_has_every_command_and_every_hook(built):
    commands = (built / "reference" / "commands.html").read_text()
    assert all(f'id="harness-{name}"' in commands for name in ("run", "duel", "gate", "data-fetch", "study"))
    contract = (built / "reference" / "plugin-contract.html").read_text()
    assert all(f"harness_{kind}" in contract for kind in ("backend", "task", "dataset"))
    assert "synchronize" in contract
