from __future__ import annotations

import base64
import logging
from typing import Any

import numpy as np
import pytest

from realtime_nb.audio.g711 import decode_mulaw, encode_mulaw
from realtime_nb.audio.resample import resample
from realtime_nb.engines import noise_suppression, scripted
from realtime_nb.engines.base import Capabilities, EngineSet, Pcm16
from realtime_nb.errors import EngineError
from tests.server.talking import Client, connected, serving, silence, tone
from tests.server.test_client_secrets import post

pytestmark = pytest.mark.anyio

NEAR = {"input": {"noise_reduction": {"type": "near_field"}}}


def hum(duration_ms: int) -> Pcm16:
    """Noise that a detector by energy takes for speech, quieter than `tone`."""
    return (tone(duration_ms).astype(np.int32) // 4).astype(np.int16)


class Gate:
    """Lets only what is loud through."""

    capabilities = Capabilities(name="gate", licence="Apache-2.0")

    def __init__(self) -> None:
        self.n_samples = 0

    def process(self, pcm16: Pcm16) -> Pcm16:
        self.n_samples += len(pcm16)
        return pcm16 if np.abs(pcm16.astype(np.int32)).max(initial=0) > 4000 else np.zeros_like(pcm16)


def gated(**options: Any) -> tuple[EngineSet, list[tuple[str, int, Gate]]]:
    engines, made = scripted.create(**options), list[tuple[str, int, Gate]]()

    def make(kind: str, sample_rate_hz: int) -> Gate:
        made.append((kind, sample_rate_hz, Gate()))
        return made[-1][2]

    engines.noise_suppressor = make
    return engines, made


async def retrieved_audio(client: Client, item_id: str) -> bytes:
    await client.send("conversation.item.retrieve", item_id=item_id)
    item = (await client.until("conversation.item.retrieved"))["item"]
    return base64.b64decode(item["content"][0]["audio"])


async def test_noise_starts_no_turn_once_it_is_reduced() -> None:
    engines, made = gated()
    async with serving(engines) as server, connected(server) as client:
        assert (await client.update(audio=NEAR))["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
        await client.hear(hum(1000), silence(800))
        await client.hear(tone(500), silence(800))
        started = await client.until("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] == pytest.approx(1500, abs=150)
        await client.until("response.done")
        assert [(kind, rate) for kind, rate, _ in made] == [("near_field", 24_000)]


async def test_without_it_the_same_noise_is_a_turn() -> None:
    engines, made = gated()
    async with serving(engines) as server, connected(server) as client:
        await client.hear(hum(1000), silence(800))
        assert (await client.until("input_audio_buffer.speech_started"))["audio_start_ms"] < 300
        assert made == []


async def test_the_kept_audio_is_the_cleaned_one() -> None:
    engines, _ = gated()
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {**NEAR["input"], "turn_detection": None}})
        await client.hear(hum(200), tone(200), hum(100))
        await client.send("input_audio_buffer.commit")
        item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
        kept = np.frombuffer(await retrieved_audio(client, item_id), np.int16)
        assert np.array_equal(kept, np.concatenate([silence(200), tone(200), silence(100)]))


async def test_samples_cut_in_two_by_a_frame_are_cleaned_whole() -> None:
    engines, made = gated()
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {**NEAR["input"], "turn_detection": None}})
        audio = tone(200).tobytes()
        for piece in (audio[:4801], audio[4801:]):
            await client.send("input_audio_buffer.append", audio=base64.b64encode(piece).decode())
        await client.send("input_audio_buffer.commit")
        item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
        assert await retrieved_audio(client, item_id) == audio
        assert made[0][2].n_samples == len(audio) // 2


async def test_telephone_audio_is_cleaned_at_its_own_rate() -> None:
    engines, made = gated()
    async with serving(engines) as server, connected(server) as client:
        far = {"type": "far_field"}
        audio = {"input": {"format": {"type": "audio/pcmu"}, "noise_reduction": far, "turn_detection": None}}
        await client.update(audio=audio)
        phone = [resample(pcm16, 24_000, 8_000) for pcm16 in (hum(200), tone(300))]
        sent = base64.b64encode(encode_mulaw(np.concatenate(phone))).decode()
        await client.send("input_audio_buffer.append", audio=sent)
        await client.send("input_audio_buffer.commit")
        item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
        kept = decode_mulaw(await retrieved_audio(client, item_id))
        assert not kept[:1000].any()
        assert np.abs(kept[2000:]).max() > 4000
        assert [(kind, rate) for kind, rate, _ in made] == [("far_field", 8_000)]


async def test_it_can_be_switched_in_a_session() -> None:
    engines, made = gated()
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {**NEAR["input"], "turn_detection": None}})
        await client.hear(hum(200))
        await client.update(audio={"input": {"noise_reduction": None}})
        await client.hear(hum(200))
        await client.update(audio={"input": {"noise_reduction": {"type": "far_field"}}})
        await client.hear(hum(200))
        await client.send("input_audio_buffer.commit")
        item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
        kept = np.frombuffer(await retrieved_audio(client, item_id), np.int16)
        assert np.array_equal(kept, np.concatenate([silence(200), hum(200), silence(200)]))
        assert [kind for kind, _, _ in made] == ["near_field", "far_field"]


async def test_a_suppressor_that_breaks_leaves_the_audio_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    engines = scripted.create()

    def broken(kind: str, sample_rate_hz: int) -> Gate:
        raise EngineError("no suppressor today")

    engines.noise_suppressor = broken
    with caplog.at_level(logging.WARNING):
        async with serving(engines) as server, connected(server) as client:
            await client.update(audio=NEAR)
            await client.hear(tone(500), silence(800))
            assert (await client.until("response.done"))["response"]["status"] == "completed"
    assert sum("no suppressor today" in record.getMessage() for record in caplog.records) == 1


async def test_where_there_is_none_the_session_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    engines = scripted.create()
    engines.noise_suppressor = None
    with caplog.at_level(logging.WARNING):
        async with serving(engines) as server:
            async with connected(server) as client:
                session = await client.update(audio=NEAR, instructions="kept")
                assert session["audio"]["input"]["noise_reduction"] is None
                assert session["instructions"] == "kept"
                assert "realtime-nb[noise]" in caplog.text
            body = {"session": {"type": "realtime", "audio": NEAR}}
            answer = (await post(server, body)).json()
            assert answer["session"]["audio"]["input"]["noise_reduction"] is None


def noise(duration_ms: int, rate_hz: int = 24_000, level: float = 300) -> Pcm16:
    samples = np.random.default_rng(0).standard_normal(duration_ms * rate_hz // 1000) * level
    return samples.clip(-32768, 32767).astype(np.int16)


def rms(pcm16: Pcm16) -> float:
    return float(np.sqrt(np.mean(pcm16.astype(np.float64) ** 2)))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("chunk_ms", [20, 25, 40])
def test_the_real_one_takes_noise_away(rate_hz: int, chunk_ms: int) -> None:
    pytest.importorskip("livekit.rtc")
    suppressor = noise_suppression.create("near_field", rate_hz)
    loud = noise(4000, rate_hz)
    step = chunk_ms * rate_hz // 1000
    cleaned = [suppressor.process(loud[at : at + step]) for at in range(0, len(loud), step)]
    assert [len(one) for one in cleaned] == [len(loud[at : at + step]) for at in range(0, len(loud), step)]
    tail = np.concatenate(cleaned)[2 * rate_hz :]
    assert rms(tail) < rms(loud) / 3


def test_the_real_one_leaves_a_loud_voice_and_does_not_care_about_chunks() -> None:
    pytest.importorskip("livekit.rtc")
    from realtime_nb.audio import bundled

    speech = bundled.clip("joke").samples
    by_chunk = []
    for step in (240, 480, 700):
        suppressor = noise_suppression.create("near_field", 24_000)
        pieces = [suppressor.process(speech[at : at + step]) for at in range(0, len(speech), step)]
        by_chunk.append(np.concatenate(pieces))
    assert rms(by_chunk[0]) > rms(speech) * 0.4
    assert np.array_equal(by_chunk[0], by_chunk[1])
    lag = next(lag for lag in range(240) if np.array_equal(by_chunk[2][lag : lag + 9600], by_chunk[0][:9600]))
    assert 0 < lag < 240
