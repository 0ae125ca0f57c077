"""Take the pictures of the report page: ``python docs/record/screenshots.py REPORT.html``.

Opens the page in Chromium and writes its first screen to ``docs/images/``: on a desktop in light and in dark
mode, and on a phone. Needs the extra ``test`` and an installed Chromium.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
DESKTOP, PHONE = {"width": 1440, "height": 800}, {"width": 390, "height": 844}
#: Name, viewport, colour scheme and pixels per CSS pixel of each picture.
PICTURES = (
    ("report-light", DESKTOP, "light", 1),
    ("report-dark", DESKTOP, "dark", 1),
    ("report-phone", PHONE, "light", 2),
)
DRAWN = "[...document.querySelectorAll('.chart')].every(chart => chart.querySelector('svg'))"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def take(report: Path) -> None:
    """Write the pictures of this page."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, viewport, scheme, scale in PICTURES:
            context = browser.new_context(
                viewport=viewport, color_scheme=scheme, device_scale_factor=scale, offline=True
            )
            page = context.new_page()
            page.goto(report.resolve().as_uri())
            page.wait_for_function(DRAWN)
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()
            print(f"docs/images/{name}.png")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("report", type=Path, metavar="REPORT", help="page that harness report has written")
    take(parser.parse_args().report)
