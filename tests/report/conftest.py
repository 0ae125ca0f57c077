"""The browser in which a file's pages are opened."""

import pytest


@pytest.fixture(scope="module")
def browser():
    from support.in_browser import chromium

    with chromium() as launched:
        yield launched
