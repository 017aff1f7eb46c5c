"""Fixtures of the tests that drive JupyterLab; see `tests/browser/lab.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import CELL_TIMEOUT_S, KERNEL_6, KERNEL_7, RESULTS, Lab, NotebookPage, kernels, launch_chromium

HERE = Path(__file__).parent
expect.set_options(timeout=CELL_TIMEOUT_S * 1000)
OpenNotebook = Callable[..., NotebookPage]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300), append=False) if item.get_closest_marker(
                "timeout"
            ) is None else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab server for all tests."""
    with Lab.start(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def microphone() -> Path | None:
    """The WAV that the fake microphone plays; a module overrides this fixture to speak."""
    return None


@pytest.fixture(scope="module")
def browser(microphone: Path | None) -> Iterator[Browser]:
    """One Chromium for a module. Not longer: Playwright's loop would be in the way of asyncio tests that follow."""
    with launch_chromium(microphone=microphone) as chromium:
        yield chromium


@pytest.fixture(params=[KERNEL_7, KERNEL_6])
def kernel(request: pytest.FixtureRequest) -> str:
    """Each kernel in turn. `make setup-test` installs both; a missing one fails the test."""
    assert request.param in kernels(), f"{request.param} is not installed: run `make setup-test`"
    return str(request.param)


@pytest.fixture
def open_notebook(lab: Lab, browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Open notebooks from cells or a file: `open_notebook(["1 + 1"], kernel=…, viewport=…, host=…)`."""
    with contextlib.ExitStack() as opened:

        def open_it(
            source: list[str] | Path,
            *,
            kernel: str = KERNEL_7,
            viewport: tuple[int, int] = (1280, 900),
            host: str = "127.0.0.1",
        ) -> NotebookPage:
            name = f"{request.node.name.translate(str.maketrans('[]/', '---'))}.ipynb"
            lab.write_notebook(name, source, kernel=kernel)
            context = browser.new_context(viewport={"width": viewport[0], "height": viewport[1]})
            opened.callback(context.close)
            page = context.new_page()
            notebook = NotebookPage(lab, page)
            opened.callback(_leave, notebook, request.node)
            return NotebookPage.open(lab, page, name, host=host)

        yield open_it


def _leave(notebook: NotebookPage, node: pytest.Item) -> None:
    if node.stash.get(FAILED, True) and not notebook.page.is_closed():
        RESULTS.mkdir(exist_ok=True)
        with contextlib.suppress(Exception):
            notebook.screenshot(f"failed-{node.name}")
    notebook.close()
