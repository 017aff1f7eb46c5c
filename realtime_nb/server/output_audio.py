"""Speech of the synthesizer to the wire's format, as a stream."""

from __future__ import annotations

from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.g711 import encode_alaw, encode_mulaw
from realtime_nb.audio.pcm import pcm16_to_bytes
from realtime_nb.audio.resample import Resampler
from realtime_nb.engines.base import Pcm16
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, AudioPcmu

G711_SAMPLE_RATE_HZ = 8_000


class OutputEncoder:
    """Encodes one response's audio. PCM16 passes through; G.711 is resampled to 8 kHz first."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._resampler = Resampler(WIRE_SAMPLE_RATE_HZ, G711_SAMPLE_RATE_HZ)

    def encode(self, pcm16: Pcm16) -> bytes:
        """Return the wire's bytes for more audio, int16 at 24 kHz."""
        if isinstance(self._format, AudioPcm):
            return pcm16_to_bytes(pcm16)
        encode = encode_mulaw if isinstance(self._format, AudioPcmu) else encode_alaw
        return encode(self._resampler.process(pcm16))
