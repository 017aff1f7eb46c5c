"""The three ways between page and kernel: each carries microphone and answer, and the header says which it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from tests.browser.lab import FAR_HOST, Lab, NotebookPage, launch_chromium
from tests.browser.studio_page import CONNECT, STUDIO, StudioPage, keep_picture, open_page, speech_wav

pytestmark = pytest.mark.alone

NAME = "links.ipynb"


@pytest.fixture(scope="module")
def browser(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for which the server also has a name that is not loopback, and that lets pages from there listen."""
    wav = speech_wav(tmp_path_factory.mktemp("microphone") / "speech.wav", "hello", before_ms=300)
    arguments = [
        f"--host-resolver-rules=MAP {FAR_HOST} 127.0.0.1",
        f"--unsafely-treat-insecure-origin-as-secure=http://{FAR_HOST}:{lab.port}",
    ]
    with launch_chromium(microphone=wav, arguments=arguments) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def saved(lab: Lab, browser: Browser) -> Iterator[str]:
    """A notebook that was run and saved; its kernel lives on while pages come and go."""
    lab.write_notebook(NAME, [CONNECT, STUDIO])
    with open_page(browser, lab, NAME) as notebook:
        notebook.run_all()
        StudioPage.of(notebook, 1)
        notebook.save()
    yield NAME
    lab.shutdown_kernels()


def refuse(socket: WebSocketRoute) -> None:
    socket.close(code=1011)


def spoken_turn(notebook: NotebookPage, transport: str) -> None:
    studio = StudioPage.of(notebook, 1)
    expect(studio.root.locator(".rnb-link")).to_have_text(re.compile(rf"^{transport} link · [\d.]+ ms$"))
    assert studio.probe("transport") == transport
    studio.wait_silent()
    history = studio.kernel_value("len(session.history)")
    studio.tap()
    studio.open_microphone()
    studio.wait_kernel(f"len(session.history) > {history}")
    n_samples = studio.kernel_value("len(session.history[-1].audio.samples)")
    stream = studio.wait_rendered(n_samples, after_stream=0)
    studio.close_microphone()
    studio.wait_silent()
    assert studio.streams()[stream] == n_samples
    assert studio.kernel_value("session.history[-1].user_audio.rms_dbfs") > -40
    assert studio.kernel_value("session.microphone_dropped_ms") == 0
    if transport != "comm":
        assert studio.probe("microphoneFramesDropped") == 0
    studio.wait_tapped(2 * 2048)
    heard, sent = studio.tapped(), studio.turn_audio()
    # An underrun on the slow link is exact silence in between; every sample is played nevertheless.
    np.testing.assert_allclose(heard[np.flatnonzero(heard)], sent[np.flatnonzero(sent)], atol=1e-6)


@pytest.mark.parametrize("transport", ["direct", "proxy", "comm"])
def test_a_spoken_turn_over_each_link(
    lab: Lab, browser: Browser, saved: str, transport: str, request: pytest.FixtureRequest
) -> None:
    host = "127.0.0.1" if transport == "direct" else FAR_HOST
    routes = {re.compile(r"/proxy/\d+/"): refuse} if transport == "comm" else {}
    with open_page(browser, lab, saved, host=host, routes=routes) as notebook:
        try:
            spoken_turn(notebook, transport)
        except BaseException:
            keep_picture(notebook, request.node.name)
            raise
