from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatMessage, ChatRequest, TextDelta, ToolCall
from realtime_nb.engines.scripted import (
    HeardAs,
    ScriptedChat,
    ScriptedCrash,
    ScriptedDelays,
    ScriptedSynthesizer,
    ScriptedTranscriber,
    ScriptedVad,
)
from realtime_nb.errors import ConfigurationError, EngineCrashed, EngineUnavailable

pytestmark = pytest.mark.anyio


class VirtualSleep:
    def __init__(self) -> None:
        self.slept_ms: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept_ms.append(seconds * 1000)


def tone(duration_ms: int, amplitude: int = 8000, rate_hz: int = 16_000) -> np.ndarray:
    return (np.sin(np.arange(duration_ms * rate_hz // 1000) * 0.2) * amplitude).astype(np.int16)


def said(text: str, role: str = "user") -> ChatRequest:
    return ChatRequest(messages=(ChatMessage(role=role, text=text),))


async def collect(iterator) -> list:
    return [piece async for piece in iterator]


async def text_of(iterator) -> str:
    return "".join([delta.text async for delta in iterator if isinstance(delta, TextDelta)])


def test_vad_tells_speech_level_from_silence():
    vad = ScriptedVad()
    assert vad.probability(np.zeros(512, np.int16)) < 0.01
    assert vad.probability(tone(32)) > 0.95
    assert vad.probability(tone(32, amplitude=16)) < 0.5


def test_speech_duration_skips_silence_around():
    audio = np.concatenate([np.zeros(4800, np.int16), tone(700), np.zeros(8000, np.int16)])
    assert abs(scripted.speech_duration_ms(audio) - 700) <= 20
    assert scripted.speech_duration_ms(np.zeros(1600, np.int16)) == 0


async def test_transcriber_returns_texts_in_order_and_starts_again():
    transcriber = ScriptedTranscriber(["one two", HeardAs(text="three", confidence=0.2)])
    heard = []
    for _ in range(3):
        stream = await transcriber.open()
        stream.feed(tone(300))
        heard.append(await stream.finish())
    assert [(t.text, t.confidence) for t in heard] == [("one two", 1.0), ("three", 0.2), ("one two", 1.0)]


async def test_partials_grow_word_by_word_with_the_audio():
    partials: list[str] = []
    transcriber = ScriptedTranscriber(["where is my order"], word_ms=200)
    stream = await transcriber.open(on_partial=partials.append)
    for _ in range(25):
        stream.feed(tone(20))
    assert partials == ["where", "where is"]
    stream.feed(tone(1000))
    assert partials[-1] == "where is my order"
    final = await stream.finish()
    assert [(w.word, w.start_ms) for w in final.words][:2] == [("where", 0), ("is", 200)]


async def test_hypothesis_is_computed_again_only_when_audio_came():
    sleep = VirtualSleep()
    transcriber = ScriptedTranscriber(["yes"], delays=ScriptedDelays(hypothesis_ms=40), sleep=sleep)
    stream = await transcriber.open()
    stream.feed(tone(100))
    assert await stream.hypothesis() == await stream.finish()
    assert sleep.slept_ms == [40]


async def test_an_unfed_stream_hears_nothing_and_uses_no_text():
    transcriber = ScriptedTranscriber(["first"])
    assert (await (await transcriber.open()).finish()).text == ""
    stream = await transcriber.open()
    stream.feed(tone(20))
    assert (await stream.finish()).text == "first"


async def test_texts_are_matched_by_speech_duration():
    transcriber = ScriptedTranscriber([HeardAs(text="short", speech_ms=400), HeardAs(text="long", speech_ms=1500)])
    heard = []
    for duration_ms in (1480, 420, 900):
        stream = await transcriber.open()
        stream.feed(np.concatenate([np.zeros(3200, np.int16), tone(duration_ms)]))
        heard.append((await stream.finish()).text)
    assert heard == ["long", "short", ""]


def test_no_texts_is_refused():
    with pytest.raises(ConfigurationError):
        ScriptedTranscriber([])


async def test_chat_echoes_without_a_script():
    assert await text_of(ScriptedChat().reply(said("good morning"))) == "You said: good morning."
    assert await text_of(ScriptedChat().reply(ChatRequest())) == "Hello."


async def test_chat_rules_texts_calls_and_functions():
    call = ToolCall("look_up", '{"order": 427}')
    chat = ScriptedChat(
        [("order", ["Let me see.", call]), ("shipped", lambda request: f"It {request.messages[-1].name}.")]
    )
    assert await collect(chat.reply(said("My ORDER please"))) == [
        TextDelta("Let"),
        TextDelta(" me"),
        TextDelta(" see."),
        call,
    ]
    output = ChatRequest(messages=(ChatMessage(role="tool_output", text='"shipped"', name="shipped"),))
    assert await text_of(chat.reply(output)) == "It shipped."
    assert chat.requests[-1] is output
    no_tools = ChatRequest(messages=said("order").messages, tool_choice="none")
    assert call not in await collect(chat.reply(no_tools))


async def test_chat_delays_are_what_the_script_says():
    sleep = VirtualSleep()
    chat = ScriptedChat(
        lambda _: "one two three", delays=ScriptedDelays(first_token_ms=150, per_word_ms=20), sleep=sleep
    )
    await collect(chat.reply(said("")))
    assert sleep.slept_ms == [150, 20, 20]


async def test_jitter_depends_on_the_seed_only():
    async def delays(seed: int) -> list[float]:
        sleep = VirtualSleep()
        chat = ScriptedChat(delays=ScriptedDelays(per_word_ms=10, jitter_ms=5), seed=seed, sleep=sleep)
        await collect(chat.reply(said("a b c")))
        return sleep.slept_ms

    assert await delays(3) == await delays(3)
    assert await delays(3) != await delays(4)


async def test_planned_crashes_come_in_the_planned_call():
    chat = ScriptedChat(crashes=[ScriptedCrash(call=2, after=1)])
    assert len(await collect(chat.reply(said("x")))) == 3
    pieces = []
    with pytest.raises(EngineCrashed, match="call 2"):
        async for delta in chat.reply(said("x")):
            pieces.append(delta)
    assert len(pieces) == 1
    assert len(await collect(chat.reply(said("x")))) == 3

    stream = await ScriptedTranscriber(["a"], crashes=[ScriptedCrash(call=1)]).open()
    with pytest.raises(EngineCrashed):
        await stream.finish()
    with pytest.raises(EngineCrashed):
        await collect(ScriptedSynthesizer(crashes=[ScriptedCrash(call=1, after=1)]).speak("hello there"))


async def test_speech_has_a_tone_exactly_where_words_are():
    chunks = await collect(ScriptedSynthesizer().speak("hello there my friend", voice="cedar"))
    audio = np.concatenate([chunk.pcm16 for chunk in chunks])
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.word for word in words] == ["hello", "there", "my", "friend"]
    assert len(audio) == words[-1].end_ms * 24
    assert audio.dtype == np.int16
    for word, following in itertools.pairwise(words):
        assert 150 <= word.end_ms - word.start_ms <= 200
        assert scripted.rms_dbfs(audio[word.start_ms * 24 : word.end_ms * 24]) > -20
        assert not audio[word.end_ms * 24 : following.start_ms * 24].any()


async def test_voices_differ_in_frequency():
    def peak_hz(audio: np.ndarray) -> float:
        return float(np.argmax(np.abs(np.fft.rfft(audio, 24_000))))

    for voice, frequency_hz in scripted.VOICE_FREQUENCIES_HZ.items():
        (first, *_) = await collect(ScriptedSynthesizer().speak("hello", voice=voice))
        assert abs(peak_hz(first.pcm16) - frequency_hz) < 8, voice
    with pytest.raises(EngineUnavailable, match="alloy"):
        await collect(ScriptedSynthesizer().speak("hello", voice="nobody"))


async def test_pace_and_speed():
    sleep = VirtualSleep()
    synthesizer = ScriptedSynthesizer(delays=ScriptedDelays(first_audio_ms=30, pace=1.0), sleep=sleep)
    chunks = await collect(synthesizer.speak("a quick brown fox", speed=1.5))
    audio_ms = sum(len(chunk.pcm16) for chunk in chunks) / 24
    assert sleep.slept_ms[0] == 30
    assert sum(sleep.slept_ms[1:]) == pytest.approx(audio_ms)
    assert audio_ms == scripted.word_times("a quick brown fox", speed=1.5)[-1].end_ms
    assert await collect(synthesizer.speak("")) == []


async def test_the_set_starts_and_closes():
    sleep = VirtualSleep()
    engines = scripted.create(delays=ScriptedDelays(start_ms=5), sleep=sleep)
    await engines.start()
    assert sleep.slept_ms == [5, 5, 5]
    assert engines.name == "scripted"
    assert 0.0 <= engines.vad().probability(tone(32)) <= 1.0
    await engines.aclose()
    await engines.aclose()
