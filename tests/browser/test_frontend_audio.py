"""Sound in a real Chromium against a scripted kernel: what is captured, played, counted and thrown away."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from realtime_nb.widgets import messages
from tests.browser.frontend_page import Received, ScriptedKernel
from tests.browser.lab import launch_chromium

pytestmark = pytest.mark.alone

RATE_HZ = 24_000
TONE_HZ = 1000
DEVICE_RATE_HZ = 48_000
UNPROCESSED = """
globalThis.asked = [];
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async ({audio}) => {
    asked.push(audio);
    globalThis.stream = await real(
        {audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
    return stream;
};
"""
REFUSED = """
navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("Permission denied", "NotAllowedError"); };
"""
PROBE = "globalThis[Symbol.for('realtime_nb')].probe"
TAP = f"""() => {{
    const {{rateHz, samples, written}} = {PROBE}.tapped;
    return {{rateHz, written, samples: [...samples.subarray(0, Math.min(written, samples.length))]}};
}}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    times = np.arange(DEVICE_RATE_HZ * 6) / DEVICE_RATE_HZ
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, DEVICE_RATE_HZ, 0, "NONE", ""))
        file.writeframes((12_000 * np.sin(2 * np.pi * TONE_HZ * times)).astype("<i2").tobytes())
    arguments = ["--autoplay-policy=no-user-gesture-required"]
    with launch_chromium(microphone=path, arguments=arguments) as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"{error} {error.stack}"))
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def kernel() -> Iterator[ScriptedKernel]:
    with ScriptedKernel(traits={"height_px": 700}) as scripted:
        yield scripted


def connect(page: Page, kernel: ScriptedKernel) -> None:
    page.goto(kernel.url)
    kernel.wait_for(messages.Hello)
    kernel.send(messages.SessionState(state="connected", engine="offline"))


def noise(n_samples: int, seed: int = 1) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Never zero, so that silence is certainly not part of it."""
    loud = np.random.default_rng(seed).integers(2000, 9000, n_samples)
    return np.where(np.arange(n_samples) % 2, loud, -loud).astype("<i2")


def begin(kernel: ScriptedKernel, stream_id: int, samples: np.ndarray[Any, np.dtype[np.int16]], *, end: bool) -> None:
    kernel.send(messages.PlaybackBegin(stream_id=stream_id, lane="assistant", item_id="item", content_index=0))
    kernel.send_audio(stream_id, samples.tobytes())
    if end:
        kernel.send(messages.PlaybackEnd(stream_id=stream_id))


def tapped(page: Page) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What the assistant's lane put out, from its first sound on."""
    tap = page.evaluate(TAP)
    assert tap["rateHz"] == RATE_HZ
    assert tap["written"] == len(tap["samples"])
    samples = np.array(tap["samples"])
    return samples[np.flatnonzero(samples)[0] :]


def wait_for_tap(page: Page, n_samples: int) -> None:
    """Until the tap holds that many samples; its last block is written only when it is full."""
    page.wait_for_function(f"n => {PROBE}.tapped && {PROBE}.tapped.written >= n", arg=n_samples)


def test_microphone_frames_are_20_ms_of_pure_tone(page: Page, kernel: ScriptedKernel) -> None:
    page.add_init_script(UNPROCESSED)
    connect(page, kernel)
    talk = page.get_by_role("button", name="Hold to talk")
    talk.hover()
    page.mouse.down()
    live = kernel.wait_for(messages.MicrophoneState)
    assert live.state == "live"
    assert live.device_rate_hz > 0
    assert kernel.wait_for(messages.Command).name == "talk_start"
    frames: list[Received] = [kernel.binaries.get(timeout=15) for _ in range(80)]
    page.mouse.up()
    assert kernel.wait_for(messages.MicrophoneState).state == "stopped"
    assert kernel.wait_for(messages.Command).name == "talk_end"

    assert page.evaluate("asked")[0] | {"channelCount": 0} == {
        "echoCancellation": True,
        "noiseSuppression": True,
        "autoGainControl": True,
        "channelCount": 0,
    }
    assert {frame.kind for frame in frames} == {messages.KIND_MICROPHONE}
    assert {frame.stream_id for frame in frames} == {live.stream_id}
    assert [frame.sequence for frame in frames] == list(range(80))
    assert {len(frame.payload) for frame in frames} == {960}
    times = np.array([frame.time_client_ms for frame in frames])
    assert abs(np.polyfit(np.arange(80), times, 1)[0] - 20) < 0.5
    assert page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
    sound = np.concatenate([np.frombuffer(frame.payload, "<i2") for frame in frames[25:75]]).astype(float)
    assert tone_purity(sound) > 0.999
    assert 11_000 < sound.max() < 13_000


def tone_purity(samples: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Share of the energy that one sine of `TONE_HZ` explains."""
    times = np.arange(len(samples)) / RATE_HZ
    spectral = samples @ np.exp(-2j * np.pi * TONE_HZ * times)
    return float(2 * abs(spectral) ** 2 / (len(samples) * (samples @ samples)))


def test_playback_renders_every_sample_once_and_counts_them(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    page.evaluate(f"{PROBE}.tap = true")
    samples = noise(RATE_HZ * 3 + 77)
    begin(kernel, 5, samples, end=True)
    counts = [kernel.wait_for(messages.PlaybackRendered)]
    while not counts[-1].drained:
        counts.append(kernel.wait_for(messages.PlaybackRendered))
    assert counts[-1].rendered_samples == len(samples)
    assert counts[-1].underruns == 0
    assert [c.rendered_samples for c in counts] == sorted(c.rendered_samples for c in counts)
    steps_ms = np.diff([c.rendered_samples for c in counts]) / 24
    assert steps_ms.max() <= 60
    assert page.evaluate(f"{PROBE}.rendered[5]") == len(samples)
    wait_for_tap(page, page.evaluate(f"{PROBE}.tapped.written") + 4096)
    heard = tapped(page)[: len(samples)]
    assert np.abs(heard - samples[: len(heard)] / 32768).max() < 1e-6
    assert len(heard) == len(samples)


def test_flush_stops_within_a_quantum_and_tells_what_was_heard(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    page.evaluate(f"{PROBE}.tap = true")
    samples = noise(RATE_HZ * 40)
    begin(kernel, 9, samples, end=False)
    kernel.wait_for(messages.PlaybackRendered, lambda m: m.rendered_samples > RATE_HZ)
    kernel.send(messages.PlaybackFlush(flush_id=3, lane="assistant"))
    flushed = kernel.wait_for(messages.PlaybackFlushed)
    assert flushed.flush_id == 3
    heard_samples = flushed.rendered[9]
    kernel.send_audio(9, noise(RATE_HZ).tobytes())  # too late: must not be heard
    wait_for_tap(page, page.evaluate(f"{PROBE}.tapped.written") + 3 * 4096)
    heard = tapped(page)
    assert np.count_nonzero(heard) in (heard_samples, heard_samples - 1)  # the fade may end on an exact zero
    assert not heard[heard_samples:].any()
    assert np.abs(heard[: heard_samples - 128] - samples[: heard_samples - 128] / 32768).max() < 1e-6


def test_a_dry_ring_is_silent_counted_and_goes_on(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    page.evaluate(f"{PROBE}.tap = true")
    samples = noise(RATE_HZ)
    begin(kernel, 2, samples[: RATE_HZ // 2], end=False)
    dry = kernel.wait_for(messages.PlaybackRendered, lambda m: m.underruns > 0)
    assert dry.rendered_samples == RATE_HZ // 2
    assert not dry.drained
    kernel.send_audio(2, samples[RATE_HZ // 2 :].tobytes())
    kernel.send(messages.PlaybackEnd(stream_id=2))
    done = kernel.wait_for(messages.PlaybackRendered, lambda m: m.drained)
    assert (done.rendered_samples, done.underruns) == (RATE_HZ, dry.underruns)
    wait_for_tap(page, page.evaluate(f"{PROBE}.tapped.written") + 4096)
    heard = tapped(page)
    assert np.count_nonzero(heard) == RATE_HZ
    assert np.abs(heard[np.flatnonzero(heard)] - samples / 32768).max() < 1e-6


def test_streams_follow_each_other_in_a_lane_without_a_gap(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    page.evaluate(f"{PROBE}.tap = true")
    first, second = noise(RATE_HZ // 2, 1), noise(RATE_HZ // 2, 2)
    begin(kernel, 1, first, end=True)
    begin(kernel, 2, second, end=True)
    assert kernel.wait_for(messages.PlaybackRendered, lambda m: m.drained).stream_id == 1
    assert kernel.wait_for(messages.PlaybackRendered, lambda m: m.drained).stream_id == 2
    wait_for_tap(page, page.evaluate(f"{PROBE}.tapped.written") + 4096)
    both = np.concatenate([first, second])
    assert np.abs(tapped(page)[: len(both)] - both / 32768).max() < 1e-6


def test_stop_flushes_before_the_kernel_is_asked(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    begin(kernel, 4, noise(RATE_HZ * 20), end=False)
    kernel.wait_for(messages.PlaybackRendered, lambda m: m.rendered_samples > 2400)
    page.get_by_role("button", name="Stop").click()
    flushed = kernel.wait_for(messages.PlaybackFlushed)
    assert flushed.flush_id == 0
    assert 2400 < flushed.rendered[4] < RATE_HZ * 20
    assert kernel.wait_for(messages.Command).name == "interrupt"


def test_keyboard_talks_and_silences_the_reply(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    begin(kernel, 4, noise(RATE_HZ * 20), end=False)
    kernel.wait_for(messages.PlaybackRendered, lambda m: m.rendered_samples > 2400)
    page.get_by_role("button", name="Hold to talk").focus()
    page.keyboard.down("Space")
    assert kernel.wait_for(messages.PlaybackFlushed).flush_id == 0
    assert kernel.wait_for(messages.Command).name == "talk_start"
    kernel.binaries.get(timeout=15)
    page.keyboard.up("Space")
    assert kernel.wait_for(messages.Command).name == "talk_end"


def test_a_refused_microphone_is_said_in_words(page: Page, kernel: ScriptedKernel) -> None:
    page.add_init_script(REFUSED)
    connect(page, kernel)
    page.get_by_role("button", name="Open microphone").click()
    failed = kernel.wait_for(messages.MicrophoneState)
    assert (failed.state, failed.error_name) == ("failed", "NotAllowedError")
    expect(page.get_by_text("The browser refused the microphone.")).to_be_visible()
    expect(page.get_by_text("work without a microphone")).to_be_visible()
    expect(page.get_by_role("button", name="Open microphone")).to_be_enabled()


def test_an_unplugged_microphone_is_said_in_words_and_the_kernel_stops_listening(
    page: Page, kernel: ScriptedKernel
) -> None:
    page.add_init_script(UNPROCESSED)
    connect(page, kernel)
    page.get_by_role("button", name="Open microphone").click()
    kernel.wait_for(messages.Command, lambda command: command.name == "microphone_open")
    page.evaluate("stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
    kernel.wait_for(messages.Command, lambda command: command.name == "microphone_close")
    kernel.wait_for(messages.MicrophoneState, lambda news: news.state == "failed" and news.error_name == "gone")
    expect(page.get_by_text("The microphone went away while it was on")).to_be_visible()
    expect(page.get_by_role("button", name="Open microphone")).to_be_enabled()
    assert page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]


def test_silent_kernel_stops_the_microphone_and_the_link_heals(page: Page, kernel: ScriptedKernel) -> None:
    page.add_init_script(UNPROCESSED)
    connect(page, kernel)
    page.get_by_role("button", name="Open microphone").click()
    assert kernel.wait_for(messages.Command).name == "microphone_open"
    kernel.binaries.get(timeout=15)
    kernel.answer_pings = False
    page.wait_for_function("stream.getTracks().every((track) => track.readyState === 'ended')")
    kernel.answer_pings = True
    kernel.wait_for(messages.Hello)
    expect(page.get_by_text("direct link")).to_be_visible()


def test_a_cut_link_comes_back_and_keeps_what_was_received(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    line = messages.TranscriptEntry(item_id="a", order=1, role="user", text="Still readable.", final=True)
    kernel.send(messages.TranscriptUpdate(entries=[line]))
    expect(page.locator(".rnb-line-text", has_text="Still readable.")).to_be_visible()
    kernel.drop_link()
    kernel.wait_for(messages.Hello)
    expect(page.get_by_text("direct link")).to_be_visible()
    expect(page.locator(".rnb-line-text", has_text="Still readable.")).to_be_visible()


def test_a_link_cut_while_one_talks_is_no_second_problem_and_one_may_talk_again(
    page: Page, kernel: ScriptedKernel
) -> None:
    connect(page, kernel)
    talk = page.locator(".rnb-talk")
    for _ in range(2):
        talk.hover()
        page.mouse.down()
        kernel.wait_for(messages.Command, lambda command: command.name == "talk_start")
        kernel.drop_link()
        expect(talk).to_have_attribute("data-phase", "idle")
        page.mouse.up()
        kernel.wait_for(messages.Hello)
        expect(page.locator(".rnb-banner:visible")).to_have_count(0)
        expect(talk).to_be_enabled()
    expect(page.locator(".rnb-notice")).to_have_count(0)


def test_last_view_gone_ends_microphone_sound_and_link(page: Page, kernel: ScriptedKernel) -> None:
    page.add_init_script(UNPROCESSED)
    connect(page, kernel)
    begin(kernel, 4, noise(RATE_HZ * 20), end=False)
    page.get_by_role("button", name="Open microphone").click()
    kernel.binaries.get(timeout=15)
    page.evaluate("views[0]()")
    page.wait_for_function("stream.getTracks().every((track) => track.readyState === 'ended')")
    assert kernel.wait_for(messages.PlaybackFlushed).flush_id == 0
    page.wait_for_function("globalThis[Symbol.for('realtime_nb')].playback === null")  # though the model lives
    page.evaluate("endModel()")
    assert page.evaluate("handlerCount()") == 0
    assert page.locator(".rnb").count() == 0


ANSWER_BY_COMM = """
globalThis.frames = [];
globalThis.answerComm = (content, buffers) => {
    const reply = (message) => fire(
        "msg:custom", {type: "link", client_id: content.client_id, text: JSON.stringify(message)}, []);
    for (const buffer of buffers) frames.push([...new Uint8Array(buffer)]);
    if (!content.text) return;
    const message = JSON.parse(content.text);
    if (message.type === "hello") reply({type: "ready", client_id: content.client_id, active: true, version: 1});
    if (message.type === "client_ping") reply({...message, type: "client_pong"});
    if (message.type === "command") {
        reply({type: "command_result", id: message.id, ok: true, result: {}, error: "", what_now: ""});
    }
};
undefined;
"""


def test_without_any_socket_comm_carries_frames_of_60_ms(page: Page) -> None:
    with ScriptedKernel(socket=False) as kernel:
        page.goto(kernel.url)
        page.evaluate(ANSWER_BY_COMM)
        expect(page.get_by_text("comm link")).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Open microphone").click()
        page.wait_for_function("frames.length >= 20")
        frames = [bytes(frame) for frame in page.evaluate("frames.slice(0, 20)")]
    headers = [messages.BINARY_HEADER.unpack_from(frame) for frame in frames]
    assert [header[4] for header in headers] == list(range(20))
    assert {len(frame) - messages.BINARY_HEADER.size for frame in frames} == {3 * 960}
    times = [header[5] for header in headers]  # the first ones still learn the delay between the clocks
    assert np.median(np.diff(times)) == pytest.approx(60, abs=5)


def test_a_second_view_of_a_model_shares_link_and_sound(page: Page, kernel: ScriptedKernel) -> None:
    connect(page, kernel)
    page.evaluate("views.push(addView())")
    page.evaluate(f"{PROBE}.tap = true")
    samples = noise(RATE_HZ)
    begin(kernel, 1, samples, end=True)
    kernel.wait_for(messages.PlaybackRendered, lambda m: m.drained)
    wait_for_tap(page, page.evaluate(f"{PROBE}.tapped.written") + 4096)
    assert np.abs(tapped(page)[:RATE_HZ] - samples / 32768).max() < 1e-6
    page.evaluate("views[0]()")
    kernel.send(messages.Active(active=False))
    expect(page.get_by_text("Audio is in another view of this widget.")).to_be_visible()
    page.get_by_role("button", name="Use this view").click()
    assert kernel.wait_for(messages.Command).name == "activate"
