"""The wire's audio to what detectors and recognisers hear: 16 kHz PCM16."""

from __future__ import annotations

from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from realtime_nb.audio.pcm import pcm16_from_bytes, pcm16_to_bytes
from realtime_nb.audio.resample import Resampler
from realtime_nb.engines.base import RECOGNISER_SAMPLE_RATE_HZ, Pcm16
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, AudioPcmu
from realtime_nb.server.output_audio import G711_SAMPLE_RATE_HZ


class InputDecoder:
    """Decodes one stream in one format. A sample cut in two by a chunk's border is put together again."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        pcm = isinstance(audio_format, AudioPcm)
        self._resampler = Resampler(WIRE_SAMPLE_RATE_HZ if pcm else G711_SAMPLE_RATE_HZ, RECOGNISER_SAMPLE_RATE_HZ)
        self._odd = b""

    @property
    def sample_rate_hz(self) -> int:
        """Of the wire's format."""
        return WIRE_SAMPLE_RATE_HZ if isinstance(self._format, AudioPcm) else G711_SAMPLE_RATE_HZ

    @property
    def held_bytes(self) -> int:
        """How much of what came in waits for the other half of its sample."""
        return len(self._odd)

    def drop_half(self) -> None:
        """Forget half a sample: the buffer that held it is gone, and the next one begins with a whole sample."""
        self._odd = b""

    def decode(self, audio: bytes) -> Pcm16:
        """Return more audio, int16 at 16 kHz."""
        return self.resample(self.samples(audio))

    def samples(self, audio: bytes) -> Pcm16:
        """Return more audio, int16 at the wire's rate."""
        if isinstance(self._format, AudioPcm):
            audio = self._odd + audio
            whole = len(audio) - len(audio) % 2
            self._odd = audio[whole:]
            return pcm16_from_bytes(audio[:whole])
        return decode_mulaw(audio) if isinstance(self._format, AudioPcmu) else decode_alaw(audio)

    def resample(self, pcm16: Pcm16) -> Pcm16:
        """Return audio of the wire's rate at 16 kHz."""
        return self._resampler.process(pcm16)

    def encode(self, pcm16: Pcm16) -> bytes:
        """Return samples of the wire's rate as the wire's bytes."""
        if isinstance(self._format, AudioPcm):
            return pcm16_to_bytes(pcm16)
        return encode_mulaw(pcm16) if isinstance(self._format, AudioPcmu) else encode_alaw(pcm16)


def decode_whole(audio: bytes, audio_format: AudioFormat) -> Pcm16:
    """Return a whole recording, int16 at 16 kHz."""
    return InputDecoder(audio_format).decode(audio)
