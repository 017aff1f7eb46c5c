"""How often the brain finds the right intent when words are misheard, and how soon its answer begins.

Run: python benchmarks/brain.py
"""

from __future__ import annotations

import asyncio
import statistics
import time
import tomllib
from pathlib import Path

from realtime_nb.engines import brain
from realtime_nb.engines.base import ChatMessage, ChatRequest, TextDelta
from realtime_nb.engines.brain.dialogue import ACCEPT
from realtime_nb.engines.brain.intents import Reader, load_intents
from realtime_nb.engines.brain.mishearing import Mishearing, word_errors
from realtime_nb.engines.brain.phonetics import Lexicon, dictionary_path

HELD_OUT = Path(__file__).parent.parent / "tests" / "engines" / "brain" / "held_out.toml"
RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
REPEATS = 4


def accuracy_table() -> None:
    data = tomllib.loads(HELD_OUT.read_text(encoding="utf-8"))
    right = [(key, text) for key, texts in data["right"].items() for text in texts]
    intents, lexicon = load_intents(), Lexicon(dictionary_path())
    reader = Reader(intents, lexicon)
    vocabulary = {word for intent in intents.values() for example in intent.examples for word in example.split()}
    words = sorted({word for word in vocabulary if word[0] != "{"} | set(lexicon.some_words(4000)))
    print(
        f"{len(intents)} intents, {len(right)} held-out sentences, {REPEATS} mishearings each among {len(words)} words"
    )
    print(" rate  WER %  nearest right %  accepted right %  accepted wrong %     n")
    for rate in RATES:
        mishearing = Mishearing(lexicon, words, seed=1)
        errors = spoken = nearest = accepted = wrong = n = 0
        for key, text in right * (REPEATS if rate else 1):
            heard = mishearing.corrupt(text, rate)
            errors += word_errors(text.split(), heard.split())
            spoken += len(text.split())
            reading = reader.read(heard)
            hit, sure = reading.intent == key, reading.similarity >= ACCEPT
            nearest, accepted, wrong, n = nearest + hit, accepted + (hit and sure), wrong + (sure and not hit), n + 1
        shares = (100 * count / n for count in (nearest, accepted, wrong))
        columns = "{:>16.0f} {:>17.0f} {:>17.0f}".format(*shares)
        print(f"{rate:>5.1f} {100 * errors / spoken:>6.0f} {columns} {n:>5}")
    taken = [text for text in data["unrelated"] if reader.read(text).similarity >= ACCEPT]
    print(f"unrelated sentences taken for an intent: {len(taken)} of {len(data['unrelated'])} {taken}")


async def first_delta_table() -> None:
    started = time.perf_counter()
    model = brain.create()
    await model.start()
    print(f"\nstart: {1000 * (time.perf_counter() - started):.0f} ms")
    data = tomllib.loads(HELD_OUT.read_text(encoding="utf-8"))
    texts = [text for texts in data["right"].values() for text in texts]
    times_ms = []
    for text in texts:
        request = ChatRequest(messages=(ChatMessage(role="user", text=text),))
        before = time.process_time()
        delta = await anext(model.reply(request))
        times_ms.append(1000 * (time.process_time() - before))
        assert isinstance(delta, TextDelta)
    times_ms.sort()
    at = [statistics.median(times_ms), times_ms[int(0.95 * len(times_ms))], times_ms[-1]]
    print("first delta, ms of CPU, new texts: p50 {:.1f}  p95 {:.1f}  max {:.1f}".format(*at), f" (n={len(times_ms)})")


if __name__ == "__main__":
    accuracy_table()
    asyncio.run(first_delta_table())
