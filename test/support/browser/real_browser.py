# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Chromium without a screen, which draws by software where there is no graphics card."""

from collections.abc import Iterator
from contextlib import contextmanager

from get_chromium import chromium
import numpy as np
from PIL import Image
import pytest

ARGUMENTS = ('--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader',
             '--enable-unsafe-swiftshader', '--disable-dev-shm-usage')
SIZE = {'width': 1100, 'height': 620}
QUERY = '?fixedDpr=1'  # otherwise viser's client adapts its resolution to the machine
TIMEOUT = 60_000  # [ms] for anything, as drawing by software is slow on a busy machine


@contextmanager
def browsing(size: dict[str, int] = SIZE) -> Iterator:
    """Give a function that opens an address in a new page; skip the test without a browser."""
    driver = pytest.importorskip('playwright.sync_api', reason='playwright is not installed; '
                                 "pip install 'diffusion_planner_ros[browser]'")
    if (program := chromium()) is None:
        pytest.skip('Chromium is not installed: sudo apt install chromium')
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))

        def opened(address: str):
            page = browser.new_context(viewport=size).new_page()
            page.set_default_timeout(TIMEOUT)
            page.goto(f'{address}/{QUERY}')
            return page
        try:
            yield opened
        finally:
            browser.close()


def picture(page, file) -> np.ndarray:
    """Return the three-dimensional part of a page: red, green, blue from 0 to 255, (H, W, 3)."""
    page.screenshot(path=file)
    whole = np.asarray(Image.open(file).convert('RGB')).astype(int)
    return whole[60:, 345:-310]  # between the panels, below notices
