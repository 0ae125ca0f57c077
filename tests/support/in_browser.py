"""A page as a reader opens it: a real Chromium, offline, and what the page said and asked for meanwhile."""

import contextlib
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

DRAWN = "[...document.querySelectorAll('.chart')].every(chart => chart.querySelector('svg'))"
MARKS = """Object.fromEntries([...document.querySelectorAll('.chart')].map(chart =>
    [chart.id, chart.querySelectorAll('.mark-group.role-frame .role-mark > *').length]))"""
TOO_WIDE = """[...document.querySelectorAll('main *, header *')]
    .filter(element => !element.closest('.scroll') &&
        element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(element => element.tagName + '.' + element.className)"""


@contextlib.contextmanager
def chromium():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextlib.contextmanager
def opened(browser, file, width=1280, scheme="light"):
    """The page once its charts are drawn; ``said`` on the console, ``asked`` of the network."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    yield page
    context.close()
