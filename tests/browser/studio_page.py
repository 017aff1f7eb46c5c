"""The Studio in a notebook, as a person and as a test see it: controls, captions, and the page's audio counters."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import nbformat
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from realtime_nb.audio import AudioClip
from realtime_nb.audio.bundled import clip
from tests.browser.lab import KERNEL_7, RESULTS, ROOT, Lab, NotebookPage

PROBE = "globalThis[Symbol.for('realtime_nb')].probe"
WAIT_S = 30.0
Samples = np.ndarray[Any, np.dtype[np.float64]]

VALUE = """
async (expression) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const request = {code: '', silent: true, store_history: false, user_expressions: {value: expression}};
    return (await kernel.requestExecute(request).done).content.user_expressions.value;
}
"""

RECORD_CAPTIONS = """
(root) => {
    const list = root.querySelector('.rnb-lines');
    const seen = (globalThis.rnbCaptions ??= []);
    const look = () => {
        for (const line of list.querySelectorAll('.rnb-line')) {
            const text = line.querySelector('.rnb-line-text').textContent;
            const entry = [line.dataset.role, line.dataset.final === 'true', text];
            if (!seen.some((other) => other.join() === entry.join())) seen.push(entry);
        }
    };
    new MutationObserver(look).observe(list, {subtree: true, childList: true, characterData: true, attributes: true});
}
"""

TRACKS = """
const opened = (globalThis.rnbTracks = []);
const getUserMedia = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (getUserMedia) navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await getUserMedia(wanted);
    opened.push(...stream.getTracks());
    return stream;
};
"""
"""Run before the page: keeps every microphone track that was ever opened."""

TAPPED = f"""
() => {{
    const tap = {PROBE}.tapped;
    if (!tap) return null;
    const kept = Math.min(tap.written, tap.samples.length);
    const samples = new Float32Array(kept);
    for (let i = 0; i < kept; i += 1) samples[i] = tap.samples[(tap.written - kept + i) % tap.samples.length];
    let text = '';
    const bytes = new Uint8Array(samples.buffer);
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return [tap.rateHz, btoa(text)];
}}
"""


@dataclass
class StudioPage:
    """One Studio. Waits for states; `kernel_value` asks the kernel without a cell."""

    notebook: NotebookPage
    root: Locator

    @classmethod
    def of(cls, notebook: NotebookPage, cell: int) -> Self:
        """Return the Studio shown below a cell, when its link is up and its session is connected."""
        root = notebook.output_area(cell).locator(".rnb-studio")
        studio = cls(notebook, root)
        studio.wait_connected()
        root.evaluate(RECORD_CAPTIONS)
        return studio

    @property
    def page(self) -> Page:
        return self.notebook.page

    def wait_connected(self) -> None:
        """Wait until one may speak."""
        expect(self.root).to_be_visible(timeout=WAIT_S * 1000)
        expect(self.root.locator(".rnb-state")).to_have_text("Connected", timeout=WAIT_S * 1000)
        expect(self.root.locator(".rnb-link")).to_have_attribute("data-phase", "open", timeout=WAIT_S * 1000)

    def wait_for(self, condition: str, argument: Any = None, *, timeout_s: float = WAIT_S) -> Any:
        """Wait until a JavaScript function of the page returns something true, and return that."""
        return self.notebook.wait_for(condition, argument, timeout_s=timeout_s)

    # --- controls ---

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    @property
    def talk(self) -> Locator:
        return self.root.locator(".rnb-talk")

    def say(self, text: str) -> None:
        """Type to the assistant and send."""
        box = self.root.get_by_role("textbox", name="Message to the assistant")
        box.fill(text)
        box.press("Enter")

    def open_microphone(self) -> None:
        """Open the microphone and wait until it is."""
        self.button("Open microphone").click()
        expect(self.button("Close microphone")).to_have_attribute("data-phase", "live", timeout=WAIT_S * 1000)

    def close_microphone(self) -> None:
        """Close the microphone and wait until its track has ended."""
        self.button("Close microphone").click()
        self.wait_microphone_off()

    def wait_microphone_off(self, *, timeout_s: float = WAIT_S) -> None:
        """Wait until no microphone track of the page is live (the page was opened with `TRACKS`)."""
        self.wait_for("() => rnbTracks.every((track) => track.readyState === 'ended')", timeout_s=timeout_s)

    def wait_frames(self, n_frames: int, *, since: int = 0) -> None:
        """Wait until so many 20 ms microphone frames were sent after the count `since`."""
        self.wait_for(f"(wanted) => {PROBE}.microphoneFramesSent >= wanted", since + n_frames)

    # --- what was said ---

    def lines(self, role: str) -> Locator:
        """Return the captions of "user" or "assistant"."""
        return self.root.locator(f".rnb-line[data-role={role}]")

    def last_line(self, role: str, *, count: int) -> Locator:
        """Return the newest caption of a role once there are `count` and it is final."""
        expect(self.lines(role)).to_have_count(count, timeout=WAIT_S * 1000)
        line = self.lines(role).last
        expect(line).to_have_attribute("data-final", "true", timeout=WAIT_S * 1000)
        return line

    def captions(self, role: str) -> list[tuple[bool, str]]:
        """Return every state (final?, text) that captions of a role ever had."""
        seen = self.page.evaluate("() => globalThis.rnbCaptions")
        return [(final, text) for who, final, text in seen if who == role]

    # --- audio ---

    def probe(self, name: str) -> Any:
        return self.page.evaluate(f"() => {PROBE}.{name}")

    def tap(self) -> None:
        """Keep what the assistant's lane renders from now on, and forget what was kept."""
        self.page.evaluate(f"() => {{ {PROBE}.tap = true; {PROBE}.tapped = null; }}")

    def tapped(self) -> Samples:
        """Return the samples (24 kHz, ±1) that the assistant's lane put out since `tap`."""
        rate_hz, text = self.page.evaluate(TAPPED)
        assert rate_hz == 24_000
        return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)

    def wait_tapped(self, n_samples: int) -> None:
        """Wait until the tap got so many more samples (it is filled in blocks of 2048)."""
        self.wait_for(f"(wanted) => {PROBE}.tapped.written >= wanted", self.probe("tapped.written") + n_samples)

    def streams(self) -> dict[int, int]:
        """Return samples rendered by stream."""
        return {int(stream): samples for stream, samples in self.probe("rendered").items()}

    def newest_stream(self) -> int:
        return max(self.streams(), default=0)

    def wait_rendered(self, n_samples: int, *, after_stream: int, exactly: bool = False) -> int:
        """Wait until a stream newer than `after_stream` has rendered so many samples; return the stream's id."""
        return int(
            self.wait_for(
                f"""([after, wanted, exactly]) => Number(Object.entries({PROBE}.rendered).find(([id, rendered]) =>
                    Number(id) > after && (exactly ? rendered === wanted : rendered >= wanted))?.[0] ?? 0)""",
                [after_stream, n_samples, exactly],
            )
        )

    def wait_stream_through(self, stream: int) -> None:
        """Wait until a stream's count stands still over ten reports of the page's clock (for a busy kernel)."""
        self.wait_for(
            f"""(stream) => {{
                const now = {PROBE}.rendered[stream];
                const last = (globalThis.rnbLast ??= {{}});
                if (last.stream !== stream || last.count !== now)
                    Object.assign(last, {{stream, count: now, at: performance.now()}});
                return performance.now() - last.at > 400;
            }}""",
            stream,
        )

    def wait_silent(self) -> None:
        """Wait until no answer is being made or played."""
        self.wait_kernel("not studio._desk.assistant.playing and not studio._desk.feed.state.speaking")

    # --- the kernel ---

    def kernel_value(self, expression: str) -> Any:
        """Evaluate a Python expression in the kernel (when it is idle) and return its value through JSON."""
        answer = self.page.evaluate(VALUE, f"__import__('json').dumps({expression})")
        assert answer["status"] == "ok", f"{expression}: {answer.get('ename')}: {answer.get('evalue')}"
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def wait_kernel(self, expression: str, *, timeout_s: float = WAIT_S) -> Any:
        """Wait until a Python expression is true in the kernel and return it."""
        deadline = self.page.evaluate("() => performance.now()") + timeout_s * 1000
        while not (value := self.kernel_value(expression)):
            assert self.page.evaluate("() => performance.now()") < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(50)
        return value

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """Return the events of a type that went over the wire, oldest first."""
        return list(self.kernel_value(f"[e.event for e in session.events if e.event_type == {event_type!r}]"))

    def turn_audio(self, index: int = -1) -> Samples:
        """Return the answer's audio of a finished turn as the kernel received it, ±1."""
        encoded = self.kernel_value(
            f"__import__('base64').b64encode(session.history[{index}].audio.pcm16_bytes()).decode()"
        )
        return np.frombuffer(base64.b64decode(encoded), "<i2").astype(np.float64) / 32768


FIRST_NOTEBOOK = ROOT / "notebooks" / "00_start_here.ipynb"
CONNECT = "import realtime_nb as rt\nsession = await rt.connect(engine='scripted', quiet=True)"
STUDIO = "studio = rt.Studio(session)\nstudio"


def speech_wav(path: Path, clip_id: str, *, before_ms: float = 800, after_ms: float = 1500) -> Path:
    """Write a bundled clip with silence around it, as a file for the fake microphone."""
    speech = AudioClip.silence(before_ms) + clip(clip_id) + AudioClip.silence(after_ms)
    speech.resampled(48_000).save(path)
    return path


def named_first_notebook(path: Path, *, first_cell: str = "") -> int:
    """Write the first notebook with its Studio called `studio`; return the index of the Studio's cell."""
    notebook = nbformat.read(FIRST_NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.source == "rt.Studio(session)")
    cell.source = STUDIO
    if first_cell:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first_cell))
    nbformat.write(notebook, path)
    return int(notebook.cells.index(cell))


@contextlib.contextmanager
def open_page(browser: Browser, lab: Lab, name: str, **context_options: Any) -> Iterator[NotebookPage]:
    """Open a notebook in a context of its own that remembers its microphone tracks; a picture is taken on failure."""
    options = {"viewport": {"width": 1280, "height": 1000}, **context_options}
    host, routes = options.pop("host", "127.0.0.1"), options.pop("routes", {})
    context = browser.new_context(**options)
    context.add_init_script(TRACKS)
    for url, handler in routes.items():
        context.route_web_socket(url, handler)
    page = context.new_page()
    try:
        yield NotebookPage.open(lab, page, name, host=host)
    finally:
        context.close()


@contextlib.contextmanager
def running_notebook(
    browser: Browser, lab: Lab, name: str, source: Sequence[str] | Path, *, kernel: str = KERNEL_7, **options: Any
) -> Iterator[NotebookPage]:
    """Write, open and run a notebook; its kernel ends with the block."""
    lab.write_notebook(name, source, kernel=kernel)
    try:
        with open_page(browser, lab, name, **options) as notebook:
            notebook.run_all()
            yield notebook
    finally:
        lab.shutdown_kernels()


def keep_picture(notebook: NotebookPage, name: str) -> None:
    """Save what the page shows, for whoever looks into a failure."""
    RESULTS.mkdir(exist_ok=True)
    with contextlib.suppress(Exception):
        notebook.screenshot(f"failed-{name}")


def check_heard(studio: StudioPage, stream: int) -> None:
    """What was rendered is what the server sent: as many samples, as loud, at the same pitch."""
    sent = studio.turn_audio()
    assert studio.streams()[stream] == len(sent)
    studio.wait_tapped(2 * 2048)
    part, correlation = aligned(studio.tapped(), sent)
    assert len(part) == len(sent)
    assert correlation >= 0.999
    assert np.sqrt(np.mean(part**2)) == pytest.approx(np.sqrt(np.mean(sent**2)), rel=0.01)


def wait_answered(studio: StudioPage, history: int, stream: int) -> int:
    """Wait until the next turn is done and all of its audio came out; return its stream."""
    studio.wait_kernel(f"len(session.history) > {history}")
    n_samples = studio.kernel_value("len(session.history[-1].audio.samples)")
    assert n_samples > 0
    return studio.wait_rendered(n_samples, after_stream=stream, exactly=True)


def aligned(heard: Samples, sent: Samples) -> tuple[Samples, float]:
    """Return the part of `heard` that lies over `sent`, and its normalised correlation with it (1: the same)."""
    size = 1 << (len(heard) + len(sent)).bit_length()
    crossed = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    offset = int(np.argmax(crossed[: max(1, len(heard) - len(sent) + 1)]))
    part = heard[offset : offset + len(sent)]
    return part, float(part @ sent[: len(part)] / (np.linalg.norm(part) * np.linalg.norm(sent[: len(part)])))
