"""Find a Chromium to test with; run as a program it prints the path and says how to get one when there is none."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> Path | None:
    """Return `REALTIME_NB_CHROMIUM`, a system browser, or Playwright's own, in this order."""
    for name in (os.environ.get("REALTIME_NB_CHROMIUM"), *NAMES):
        if name and (found := shutil.which(name)):
            return Path(found)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)
    return bundled if bundled.is_file() else None


if __name__ == "__main__":
    browser = find_chromium()
    if browser is None:
        sys.exit("no Chromium: install it (apt-get install chromium) or set REALTIME_NB_CHROMIUM to a browser's path")
    print(browser)
