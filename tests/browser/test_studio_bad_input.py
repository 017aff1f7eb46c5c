"""What may be wrong around a Studio, and that it says what happened and what to do: microphones, files, servers."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, expect

from realtime_nb.audio.bundled import clip
from tests.browser.chromium import find_chromium
from tests.browser.conftest import FAILED
from tests.browser.lab import CHROMIUM_ARGUMENTS, FAR_HOST, Lab, launch_chromium
from tests.browser.studio_page import CONNECT, STUDIO, StudioPage, keep_picture, open_page

NAME = "bad_input.ipynb"
RESOLVE = f"--host-resolver-rules=MAP {FAR_HOST} 127.0.0.1"
REFUSED = (
    "The browser refused the microphone. Allow it for this site (the icon left of the address, or the system's privacy "
    "settings) and press again. Sample clips, audio files and typed text work without a microphone."
)
ABSENT = "No microphone was found. Plug one in or choose an input in the system's sound settings, and press again."
INSECURE = "This page may not use the microphone, because it was not opened from localhost or over https."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launch_chromium(arguments=[RESOLVE]) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def saved(lab: Lab, browser: Browser) -> Iterator[str]:
    """A notebook that was run and saved; its kernel lives on while pages come and go."""
    lab.write_notebook(NAME, [CONNECT, STUDIO, "", ""])
    with open_page(browser, lab, NAME) as notebook:
        notebook.run_all()
        StudioPage.of(notebook, 1)
        notebook.save()
    yield NAME
    lab.shutdown_kernels()


@pytest.fixture(scope="module")
def module_studio(lab: Lab, browser: Browser, saved: str) -> Iterator[StudioPage]:
    with open_page(browser, lab, saved) as notebook:
        yield StudioPage.of(notebook, 1)


@pytest.fixture
def studio(module_studio: StudioPage, request: pytest.FixtureRequest) -> Iterator[StudioPage]:
    yield module_studio
    if request.node.stash.get(FAILED, True):
        keep_picture(module_studio.notebook, request.node.name)
    module_studio.button("Stop").click()
    module_studio.wait_silent()


# --- microphones ---


@contextlib.contextmanager
def another_browser(browser: Browser, *, without: str) -> Iterator[Browser]:
    """Launch a browser without one of the usual arguments."""
    arguments = [argument for argument in CHROMIUM_ARGUMENTS if without not in argument]
    other = browser.browser_type.launch(executable_path=find_chromium(), args=arguments)
    try:
        yield other
    finally:
        other.close()


def check_no_microphone(studio: StudioPage, words: str) -> None:
    """The failure is said, and clips and text work nevertheless."""
    studio.button("Open microphone").click()
    banner = studio.root.locator(".rnb-microphone-failure")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text(words)
    expect(banner).to_contain_text("work without a microphone")
    expect(studio.button("Open microphone")).to_be_enabled()
    assert studio.kernel_value("session.state") == "connected"
    for speak in ("text", "clip"):
        studio.wait_silent()
        history, stream = studio.kernel_value("len(session.history)"), studio.newest_stream()
        if speak == "text":
            studio.say("still there")
        else:
            studio.root.get_by_label("Sample clip").select_option("hello")
            studio.button("Say the clip").click()
        studio.wait_kernel(f"len(session.history) > {history}")
        answer = studio.kernel_value("session.history[-1].transcript")
        expect(studio.last_line("assistant", count=studio.lines("assistant").count())).to_contain_text(answer)
        n_samples = studio.kernel_value("len(session.history[-1].audio.samples)")
        studio.wait_rendered(n_samples, after_stream=stream, exactly=True)


def test_microphone_refused(lab: Lab, browser: Browser, saved: str) -> None:
    with another_browser(browser, without="fake-ui") as strict, open_page(strict, lab, saved) as notebook:
        studio = StudioPage.of(notebook, 1)
        check_no_microphone(studio, REFUSED)
        studio.root.locator(".rnb-microphone-failure").get_by_role("button", name="Dismiss").click()
        expect(studio.root.locator(".rnb-microphone-failure")).to_be_hidden()


def test_microphone_absent(lab: Lab, browser: Browser, saved: str) -> None:
    with another_browser(browser, without="fake-device") as deaf, open_page(deaf, lab, saved) as notebook:
        check_no_microphone(StudioPage.of(notebook, 1), ABSENT)


def test_insecure_origin(lab: Lab, browser: Browser, saved: str) -> None:
    with open_page(browser, lab, saved, host=FAR_HOST) as notebook:
        assert notebook.evaluate("() => window.isSecureContext") is False
        try:
            check_no_microphone(StudioPage.of(notebook, 1), INSECURE)
        except BaseException:
            keep_picture(notebook, "insecure")
            raise


# --- files ---


def upload(studio: StudioPage, path: Path) -> None:
    studio.root.locator("input[type=file]").set_input_files(path)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.wav", b"", r'"empty.wav" is empty \(0 bytes\)\..*Choose a file that holds sound\.'),
        (
            "notes.wav",
            b"Dear diary, this is no sound.\n" * 9,
            r"cannot be read as audio: not an audio file, or damaged\. Use a wav",
        ),
        ("silence.wav", None, r"(silent|no audio).*Record again or choose another"),
    ],
)
def test_a_file_that_cannot_be_said_is_refused_in_words(
    studio: StudioPage, tmp_path: Path, name: str, data: bytes | None, words: str
) -> None:
    history = studio.kernel_value("len(session.history)")
    path = tmp_path / name
    if data is None:
        soundfile.write(path, np.zeros(24_000), 24_000, subtype="PCM_16")
    else:
        path.write_bytes(data)
    upload(studio, path)
    notice = studio.root.locator(".rnb-notice[data-level=error]")
    expect(notice).to_have_count(1)
    expect(notice).to_contain_text(re.compile(words))
    expect(notice).to_have_attribute("role", "alert")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
    assert studio.kernel_value("len(session.history)") == history
    expect(studio.button("Audio file…")).to_be_enabled()


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [(8000, 1, "PCM_U8"), (48_000, 2, "PCM_24")],
    ids=["8-bit", "48-kHz-stereo"],
)
def test_any_wav_is_said(studio: StudioPage, tmp_path: Path, rate_hz: int, channels: int, subtype: str) -> None:
    history = studio.kernel_value("len(session.history)")
    speech = clip("hello").resampled(rate_hz)
    soundfile.write(tmp_path / "hello.wav", np.stack([speech.samples] * channels, axis=1), rate_hz, subtype=subtype)
    upload(studio, tmp_path / "hello.wav")
    studio.wait_kernel(f"len(session.history) > {history}")
    assert studio.root.locator(".rnb-notice[data-level=error]").count() == 0
    turn = "session.history[-1]"
    assert studio.kernel_value(f"{turn}.user_audio.rms_dbfs") == pytest.approx(clip("hello").rms_dbfs, abs=4)
    assert studio.kernel_value(f"{turn}.status") == "completed"
    expect(studio.lines("user").last).to_contain_text(studio.kernel_value(f"{turn}.user_transcript"))


# --- servers ---


@pytest.fixture
def key_server() -> Iterator[str]:
    """`realtime-nb serve` that wants a key; gives its address."""
    with served("--api-key", "right") as (_, url):
        yield url


@contextlib.contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`realtime-nb serve` in a process of its own, on a free port: gives the process and its address."""
    program = Path(sys.executable).with_name("realtime-nb")
    command = [program, "serve", "--port", "0", "--engine", "scripted", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            yield process, line.split()[-1]
        finally:
            process.kill()


def cell_error(studio: StudioPage, source: str) -> dict[str, str]:
    """Run a cell that must raise and return its error output."""
    studio.notebook.set_source(2, source)
    with pytest.raises(AssertionError, match="cell 2 raised"):
        studio.notebook.run(2)
    (error,) = (output for output in studio.notebook.outputs(2) if output["output_type"] == "error")
    return error


def test_wrong_key_in_a_cell(studio: StudioPage, key_server: str) -> None:
    error = cell_error(studio, f"await rt.connect(url={key_server!r}, api_key='wrong')")
    assert error["ename"] == "AuthenticationFailed"
    assert "refused the key" in error["evalue"]
    assert "api_key=" in error["evalue"]
    assert "wrong" not in error["evalue"]


def test_nobody_listens(studio: StudioPage) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = cell_error(studio, f"await rt.connect(url='http://127.0.0.1:{port}/v1')")
    assert error["ename"] == "ConnectionRefused"
    assert str(port) in error["evalue"]
    assert "Start" in error["evalue"] or "Check" in error["evalue"]


def test_not_a_realtime_server(studio: StudioPage, lab: Lab) -> None:
    error = cell_error(studio, f"await rt.connect(url='http://127.0.0.1:{lab.port}/v1')")
    assert error["ename"] in ("ConnectionRefused", "AuthenticationFailed")
    assert str(lab.port) in error["evalue"]


def test_server_gone_while_it_speaks(studio: StudioPage) -> None:
    notebook = studio.notebook
    with served() as (process, url):
        notebook.set_source(
            2,
            f"once = rt.Reconnect(attempts=0)\n"
            f"far = await rt.connect(url={url!r}, api_key='any', quiet=True, reconnect=once)\nrt.Studio(far)",
        )
        notebook.run(2)
        other = StudioPage.of(notebook, 2)
        other.tap()
        before = other.newest_stream()
        other.say(" ".join(["word"] * 40))
        stream = other.wait_rendered(24_000, after_stream=before)
        process.kill()
        expect(other.root.locator(".rnb-state")).to_have_text("Failed")
        notice = other.root.locator(".rnb-notice[data-level=error]")
        expect(notice).to_contain_text(re.compile(r"connection to the server broke.*connect again to go on"))
        expect(other.lines("user").last).to_contain_text("word word")
        expect(other.lines("assistant").last).to_contain_text("You said: word")
        assert other.kernel_value("far.history[-1].audio.duration_ms") > 1000
        assert other.kernel_value("far.closed_reason is not None")
        # What was received is played to its end.
        n_samples = other.kernel_value("len(far.history[-1].audio.samples)")
        other.wait_rendered(n_samples, after_stream=stream - 1)
        other.say("anybody there?")
        expect(notice).to_contain_text(["connection to the server broke", "The session has ended. Connect a new one"])
    notebook.set_source(2, "pass")
    notebook.run(2)
