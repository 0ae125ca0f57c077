"""The page of ``results/`` says what its records say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def readme(monkeypatch):
    if not (ROOT / "results/comparison").is_dir():
        pytest.skip("the records are not part of this distribution")
    monkeypatch.syspath_prepend(str(ROOT / "results"))
    for name in ("make", "readme"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import readme

    yield readme
    for name in ("make", "readme"):
        sys.modules.pop(name, None)


def test_the_page_is_made_from_the_records_and_short(readme):
    page = (ROOT / "results/README.md").read_text()
    assert readme.page() == page
    assert len(page.splitlines()) <= 60


def test_every_record_is_readable_and_of_a_stated_commit(readme):
    from harness.core.shell.features import records

    page = (ROOT / "results/README.md").read_text()
    results = records().results_in(ROOT / "results/comparison")
    assert len(results) > 100
    for kind, path in results:
        assert kind.read(path).machine.git.commit[:12] in page, path.name
