"""The recogniser's child process: two pocketsphinx decoders side by side for every utterance.

The *domain* decoder knows the tutorials' sentences and the session's own words; it costs 4 % of real time and hears
them almost without error. The *general* decoder knows 40,000 words, costs 10 to 20 % and mishears every fourth
word of a person. Whatever the general one can say so much better that the domain's words cannot be what was said is
out of domain, and then its text is taken.

Feeding drives the domain decoder at once and leaves the general one's share to idle time, so the domain's answer does
not wait for it. The general one votes while it hears. One vote for the domain after 60 % of the utterance is enough
where the domain's words fit the sound; in doubt, and before its own text is taken, it must have heard all, so that an
answer does not depend on how busy the machine was. It is waited for `GENERAL_WAIT_IN_DOUBT_S` at most; after that the
fit of the domain's words decides, and what was not heard costs confidence.

Whether it was noise is told by the domain's words alone, for they always hold the whole of it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
import time
import warnings
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

from realtime_nb.engines import language_model
from realtime_nb.engines.pocketsphinx_reading import Reading
from realtime_nb.engines.worker_main import Push
from realtime_nb.errors import EngineUnavailable

BYTES_PER_S = 32_000
GAP_PER_FRAME = 0.0
"""The domain's text is taken while its log score is at least this much better, a frame. Between the in-domain sets'
lowest (-0.00006) and the others' highest (-0.00036) of the calibration in benchmarks/recogniser.py."""
GAP_MIN_FRAMES = 60
SAME_FRAMES = 4
MAX_PARTIAL_LAG_FRAMES = 30
ENOUGH_HEARD = 0.6
"""Share of an utterance after which the general decoder's vote for the domain counts."""
MAX_SCORES = 1_500
ACOUSTIC_TRUSTED = -3.4
"""A fit of the domain's words above which the general decoder is not waited for."""
GENERAL_CONFIDENCE = 0.8
AGREED_FIT = 0.8
"""When both models hear the same words; the acoustic score alone is too harsh on one short word."""
UNHEARD_STEEPNESS = 3
GENERAL_WAIT_S = 0.12
GENERAL_WAIT_IN_DOUBT_S = 3.0
GENERAL_WAIT_OF_ALL_S = 1.0
"""Of several people who are in doubt, one after the other."""
IDLE_SLICE_BYTES = BYTES_PER_S // 25
MAX_REPLAY_BYTES = 12 * BYTES_PER_S
GENERAL_WORDS = 40_000
"""The commonest of the dictionary's 126,000: a third less memory and time, two points more errors on people."""
GENERAL_HMMS_A_FRAME = 3_000
"""A third less time than the default of 30,000 and no more errors (11 clips)."""
MAX_GENERAL_DECODERS = 2
MAX_CATCH_UP_BYTES = BYTES_PER_S // 2
MAX_VOCABULARIES = 12
WARM_DOMAIN_DECODERS = 2
MAX_IDLE_A_VOCABULARY = 4
MAX_IDLE_DOMAIN_DECODERS = 8
"""Each holds 9.5 MB and takes 20 ms to make."""
PARTIAL_EVERY_BYTES = BYTES_PER_S // 12

CEPSTRAL_MEAN = "54.4,3.5,3.4,17.0,-4.7,3.1,-0.2,-5.0,-3.5,-2.8,3.1,1.3,1.5"
"""Where every utterance's normalisation starts: midway between people and flite. The decoder's own default costs up to
20 points of word errors in the first seconds, and what it carries over from the utterance before makes results depend
on that one (a burst of noise, another microphone)."""

FORGETTING_SILENCE = bytes(BYTES_PER_S // 10)

Vocabulary = tuple[str, ...]


class Utterance:
    """One stream in the child."""

    def __init__(self, vocabulary: Vocabulary, domain: Any, general: Any | None) -> None:
        self.vocabulary = vocabulary
        self.domain = domain
        self.general = general
        self.audio = bytearray()
        self.forgotten_bytes = 0
        self.general_bytes = 0
        self.vote: bool | None = None
        self.last_inside_frames = 0
        self.domain_open = True
        self.scores: deque[tuple[int, float]] = deque(maxlen=MAX_SCORES)
        self.shown = ""
        self.shows_general = False
        self.looked_at_bytes = 0
        _begin(domain)
        if general is not None:
            _begin(general)

    @property
    def total_bytes(self) -> int:
        """All audio fed."""
        return self.forgotten_bytes + len(self.audio)

    def borrow(self, general: Any) -> None:
        """Take a general decoder; it hears everything from the beginning."""
        _begin(general)
        self.general = general
        self.general_bytes = 0

    def feed(self, pcm16: bytes) -> None:
        """Decode with the domain model; a turn that goes on after a hypothesis is decoded again from its start."""
        self.audio += pcm16
        if not self.domain_open:
            _begin(self.domain)
            self.domain_open = True
            pcm16 = bytes(self.audio)
        self.domain.process_raw(pcm16, False, False)
        best = self.domain.hyp()
        if best is not None and best.score > 0:
            self.scores.append((self.domain.n_frames(), math.log(best.score)))

    def read_domain(self) -> Reading:
        """Read the domain decoder."""
        return Reading(self.domain, ended=not self.domain_open)

    def end_domain(self) -> None:
        """End the domain decoder's path, unless the turn is too long to decode it again should it go on."""
        if self.domain_open and self.total_bytes <= MAX_REPLAY_BYTES:
            self.domain.end_utt()
            self.domain_open = False

    def advance_general(self) -> bool:
        """Let the general decoder hear 40 ms more; whether it is still behind."""
        if self.general is None:
            self.general_bytes = self.total_bytes
        start = self.general_bytes - self.forgotten_bytes
        end = min(len(self.audio), start + IDLE_SLICE_BYTES)
        if start < end and self.general is not None:
            self.general.process_raw(bytes(self.audio[start:end]), False, False)
            self._count_vote(Reading(self.general))
        self.general_bytes = self.forgotten_bytes + end
        if self.total_bytes > MAX_REPLAY_BYTES and self.domain_open:
            del self.audio[:end]
            self.forgotten_bytes += end
        return self.general_bytes < self.total_bytes

    def _count_vote(self, general: Reading) -> None:
        """Compare the scores that both decoders had at the same frame: was something outside the domain said?"""
        if general.frames < GAP_MIN_FRAMES or not self.scores:
            return
        frames, score = min(self.scores, key=lambda entry: abs(entry[0] - general.frames))
        if abs(frames - general.frames) > SAME_FRAMES:
            return
        self.vote = bool(general.words) and (score - general.log_score) / frames < GAP_PER_FRAME
        if not self.vote:
            self.last_inside_frames = general.frames


class Recogniser:
    """The methods that `pocketsphinx_engine` calls. Streams are known by the parent's numbers."""

    def __init__(self, push: Push) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise EngineUnavailable(
                "pocketsphinx is not installed.", what_now="Install it with: pip install 'realtime-nb[embedded]'"
            ) from error
        self._pocketsphinx = pocketsphinx
        self._push = push
        self._utterances: dict[int, Utterance] = {}
        self._models: OrderedDict[Vocabulary, language_model.DomainModel] = OrderedDict()
        self._idle_domain: dict[Vocabulary, list[Any]] = {}
        self._idle_general: list[Any] = []
        self._general_decoders = 0
        self._closing: deque[Utterance] = deque()

    def warm(self) -> None:
        """Load both models and run a little sound through them."""
        self._idle_domain[()] = [self._new_domain_decoder(()) for _ in range(WARM_DOMAIN_DECODERS)]
        self._idle_general.append(self._new_general_decoder())
        for decoder in (*self._idle_domain[()], *self._idle_general):
            decoder.start_utt()
            decoder.process_raw(bytes(BYTES_PER_S // 5), False, False)
            decoder.end_utt()

    def open(self, payload: dict[str, Any]) -> None:
        """Begin an utterance."""
        vocabulary = tuple(payload["vocabulary"])
        if not self._idle_general or not self._idle_domain.get(vocabulary):
            self._end_closed()
        pool = self._idle_domain.get(vocabulary)
        domain = pool.pop() if pool else self._new_domain_decoder(vocabulary)
        general = self._idle_general.pop() if self._idle_general else None
        self._utterances[payload["stream"]] = Utterance(vocabulary, domain, general)

    def feed(self, payload: dict[str, Any]) -> None:
        """Take audio; push the text so far when it changed."""
        utterance = self._utterances.get(payload["stream"])
        if utterance is None:
            return
        utterance.feed(payload["pcm16"])
        if utterance.total_bytes - utterance.looked_at_bytes >= PARTIAL_EVERY_BYTES:
            utterance.looked_at_bytes = utterance.total_bytes
            self._show(payload["stream"], utterance)

    def hypothesis(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the transcript as if the utterance ended here."""
        utterance = self._utterances[payload["stream"]]
        utterance.end_domain()
        domain = utterance.read_domain()
        fit = domain.fit
        if utterance.general is not None:
            outside = self._judge(utterance, domain)
            general = Reading(utterance.general)
            if outside and general.words:
                heard = min(1.0, general.frames / domain.frames) ** UNHEARD_STEEPNESS
                confidence = general.fit * GENERAL_CONFIDENCE * domain.plausibility * heard
                return _transcript(general, confidence, in_domain=False)
            if domain.text and general.text == domain.text:
                fit = max(fit, AGREED_FIT)
        return _transcript(domain, fit * domain.plausibility, in_domain=True)

    def _judge(self, utterance: Utterance, domain: Reading) -> bool:
        """Return whether the general decoder's text is the one to take, waiting for it within bounds."""
        believable = domain.acoustic >= ACOUSTIC_TRUSTED
        people = len(self._utterances)
        in_doubt_s = GENERAL_WAIT_IN_DOUBT_S if people == 1 else GENERAL_WAIT_OF_ALL_S / people
        began = time.monotonic()
        while True:
            if believable and utterance.last_inside_frames >= ENOUGH_HEARD * domain.frames:
                return False
            wait_s = GENERAL_WAIT_S / people if believable and not utterance.vote else in_doubt_s
            if time.monotonic() - began >= wait_s or not utterance.advance_general():
                break
        return not believable if utterance.vote is None else utterance.vote

    def close_stream(self, payload: dict[str, Any]) -> None:
        """Forget an utterance; its decoders go back to the pool in idle time."""
        utterance = self._utterances.pop(payload["stream"], None)
        if utterance is not None:
            self._closing.append(utterance)

    def idle(self) -> bool:
        """Give the general decoders their share, put closed decoders back, lend general ones that were missing."""
        behind = [utterance.advance_general() for utterance in self._utterances.values()]
        if any(behind):
            return True
        if self._closing:
            self._end_closed(1)
            return True
        return self._lend()

    def _lend(self) -> bool:
        """Give an utterance its general decoder late.

        Making one takes 0.2 s, catching up a fifth of what was said: only while few others may be waiting.
        """
        few = len(self._utterances) <= MAX_GENERAL_DECODERS
        can_lend = self._idle_general or (few and self._general_decoders < MAX_GENERAL_DECODERS)
        most_bytes = MAX_REPLAY_BYTES if few else MAX_CATCH_UP_BYTES
        without = [one for one in self._utterances.values() if one.general is None and one.total_bytes <= most_bytes]
        if not without or not can_lend:
            return False
        without[0].borrow(self._idle_general.pop() if self._idle_general else self._new_general_decoder())
        return True

    def memory_mb(self, payload: None) -> float:
        """Return this process's resident memory, 0 where the system does not tell."""
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def _show(self, stream: int, utterance: Utterance) -> None:
        domain = utterance.read_domain()
        general = Reading(utterance.general) if utterance.general is not None else None
        if general is not None and domain.frames - general.frames <= MAX_PARTIAL_LAG_FRAMES:
            utterance.shows_general = bool(utterance.vote)
        text = general.text if general is not None and utterance.shows_general else domain.text
        if text and text != utterance.shown:
            utterance.shown = text
            self._push(stream, text)

    def _end_closed(self, at_most: int = 1_000) -> None:
        for _ in range(min(at_most, len(self._closing))):
            utterance = self._closing.popleft()
            if utterance.domain_open:
                utterance.domain.end_utt()
            self._keep(utterance.vocabulary, utterance.domain)
            if utterance.general is not None:
                utterance.general.end_utt()
                self._idle_general.append(utterance.general)

    def _keep(self, vocabulary: Vocabulary, domain: Any) -> None:
        """Put a decoder back; if there are too many, the vocabulary used longest ago gives up one of its own."""
        if vocabulary not in self._models or len(self._idle_domain.get(vocabulary, ())) >= MAX_IDLE_A_VOCABULARY:
            return
        self._models.move_to_end(vocabulary)
        self._idle_domain.setdefault(vocabulary, []).append(domain)
        if sum(map(len, self._idle_domain.values())) > MAX_IDLE_DOMAIN_DECODERS:
            oldest = next(known for known in self._models if self._idle_domain.get(known))
            self._idle_domain[oldest].pop()

    def _model(self, vocabulary: Vocabulary) -> language_model.DomainModel:
        if vocabulary not in self._models:
            path = Path(self._pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
            self._models[vocabulary] = language_model.build(vocabulary, path)
            oldest = next((known for known in self._models if known), None)
            if len(self._models) > MAX_VOCABULARIES and oldest is not None:
                del self._models[oldest]
                self._idle_domain.pop(oldest, None)
        self._models.move_to_end(vocabulary)
        return self._models[vocabulary]

    def _new_domain_decoder(self, vocabulary: Vocabulary) -> Any:
        model = self._model(vocabulary)
        with tempfile.TemporaryDirectory() as folder:
            arpa, dictionary = Path(folder) / "domain.arpa", Path(folder) / "domain.dict"
            arpa.write_text(model.arpa, "utf-8")
            dictionary.write_text(model.dictionary, "utf-8")
            return self._decoder(lm=str(arpa), dict=str(dictionary))

    def _new_general_decoder(self) -> Any:
        self._general_decoders += 1
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "general.dict"
            dictionary.write_text(self._common_words, "utf-8")
            model = self._pocketsphinx.get_model_path("en-us/en-us.lm.bin")
            return self._decoder(lm=model, dict=str(dictionary), maxhmmpf=GENERAL_HMMS_A_FRAME)

    @functools.cached_property
    def _common_words(self) -> str:
        """The dictionary's lines for the words that the general model finds likeliest: 1 MB, 0.3 s to find."""
        model = self._pocketsphinx.NGramModel.readfile(self._pocketsphinx.get_model_path("en-us/en-us.lm.bin"))
        path = Path(self._pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
        with path.open(encoding="utf-8") as file:
            lines = [(line.partition(" ")[0].partition("(")[0], line) for line in file]
        likelihood = {word: model.prob([word]) for word, _ in lines}
        least = sorted(likelihood.values(), reverse=True)[:GENERAL_WORDS][-1]
        return "".join(line for word, line in lines if likelihood[word] >= least)

    def _decoder(self, **options: str | int) -> Any:
        acoustic = self._pocketsphinx.get_model_path("en-us/en-us")
        return self._pocketsphinx.Decoder(hmm=acoustic, fwdflat=False, loglevel="FATAL", **options)


def _begin(decoder: Any) -> None:
    """Start an utterance that depends on nothing before it."""
    for forgetting in (True, False):
        with warnings.catch_warnings(), contextlib.suppress(AttributeError):
            warnings.simplefilter("ignore", DeprecationWarning)
            decoder.start_stream()  # deprecated as unnecessary, yet without it the noise estimate is kept
        decoder.set_cmn(CEPSTRAL_MEAN)
        decoder.start_utt()
        if forgetting:  # else the first frames' scores depend on the last ones of the utterance before
            decoder.process_raw(FORGETTING_SILENCE, False, False)
            decoder.end_utt()


def _transcript(reading: Reading, confidence: float, *, in_domain: bool) -> dict[str, Any]:
    return {
        "text": reading.text,
        "confidence": round(confidence, 3),
        "in_domain": in_domain,
        "words": [(word, start * 10, end * 10) for word, start, end in reading.words],
    }


def main(push: Push) -> Recogniser:
    """Make the worker's object."""
    return Recogniser(push)
