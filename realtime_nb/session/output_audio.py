"""Output audio on its way to a player, and the truth about it when it is cut."""

from __future__ import annotations

import numpy as np

from realtime_nb.audio import g711
from realtime_nb.audio.resample import Resampler
from realtime_nb.protocol.playback import Cut, Playback, PlaybackKey
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, AudioPcmu

from .player import Player


class OutputAudio:
    """Decodes output audio, hands it to the player, and never to a part that was cut.

    With no player everything received counts as heard: nobody listens, so nothing can be unheard.
    """

    def __init__(self, playback: Playback) -> None:
        self.playback = playback
        self.player: Player | None = None
        self._decoder = WireAudioDecoder()
        self._begun: set[PlaybackKey] = set()
        self._muted: set[PlaybackKey] = set()

    @property
    def audible(self) -> bool:
        """Whether audio is still being received or rendered."""
        return any(key not in self._muted for key in self.playback.open_keys)

    def attach(self, player: Player | None) -> None:
        """Play on `player` from now on; what an earlier player had not rendered counts as heard up to its last word."""
        self.player = player

    def follow(self, playback: Playback) -> None:
        """Count on `playback` from now on (a new connection); what was begun is played to its end."""
        for key in self.playback.open_keys:
            if self.player is not None and key in self._begun:
                self.player.end(*key)
        self.playback = playback

    def take(self, key: PlaybackKey, audio: bytes, audio_format: AudioFormat) -> bytes:
        """Decode a delta, play it unless its part was cut, and return it as 24 kHz PCM16."""
        pcm16 = self._decoder.decode(audio, audio_format)
        if key in self._muted:
            return pcm16
        if self.player is None:
            self.playback.rendered(key, self.playback.parts[key].received_samples)
            return pcm16
        if key not in self._begun:
            self._begun.add(key)
            self.player.begin(*key)
        self.player.write(key.item_id, key.content_index, pcm16)
        return pcm16

    def end(self, key: PlaybackKey) -> None:
        """No more audio will come for this part."""
        if self.player is not None and key in self._begun and key not in self._muted:
            self.player.end(*key)

    def mute_open(self) -> list[PlaybackKey]:
        """From now on drop what still comes for the parts that are open; return them."""
        keys = [key for key in self.playback.open_keys if key not in self._muted]
        self._muted.update(keys)
        return keys

    def give_up(self, item_ids: list[str]) -> list[PlaybackKey]:
        """No more audio is expected for these items; what came is played to its end. Return the parts ended so."""
        keys = [key for key, part in self.playback.parts.items() if key.item_id in item_ids and not part.complete]
        for key in keys:
            self.playback.complete(key)
            self.end(key)
        self._muted.update(keys)
        return keys

    async def stop(self) -> None:
        """Stop the player and take its last count; what still comes for the open parts is dropped."""
        self.mute_open()
        if self.player is not None:
            for (item_id, content_index), samples in (await self.player.flush()).items():
                self.playback.rendered(PlaybackKey(item_id, content_index), samples)
            self.mute_open()  # what began meanwhile was stopped, too

    def settle(self) -> list[Cut]:
        """Settle every open part, after `stop`, and say what the server must be told."""
        cuts = self.playback.cut()
        return cuts if self.player is not None else []


class WireAudioDecoder:
    """Wire bytes → 24 kHz PCM16, for the three formats."""

    def __init__(self) -> None:
        self._upsampler: Resampler | None = None

    def decode(self, audio: bytes, audio_format: AudioFormat) -> bytes:
        """Return 24 kHz PCM16, little-endian."""
        if isinstance(audio_format, AudioPcm):
            return audio
        narrow = g711.decode_mulaw(audio) if isinstance(audio_format, AudioPcmu) else g711.decode_alaw(audio)
        if self._upsampler is None:
            self._upsampler = Resampler(8000, 24_000)
        return self._upsampler.process(narrow).tobytes()


class WireAudioEncoder:
    """24 kHz PCM16 → wire bytes, for the three formats."""

    def __init__(self) -> None:
        self._downsampler: Resampler | None = None

    def encode(self, pcm16: bytes, audio_format: AudioFormat) -> bytes:
        """Return the audio in `audio_format`."""
        if isinstance(audio_format, AudioPcm):
            return pcm16
        if self._downsampler is None:
            self._downsampler = Resampler(24_000, 8000)
        narrow = self._downsampler.process(np.frombuffer(pcm16, dtype="<i2").astype(np.int16))
        return g711.encode_mulaw(narrow) if isinstance(audio_format, AudioPcmu) else g711.encode_alaw(narrow)


__all__ = ["OutputAudio", "WireAudioDecoder", "WireAudioEncoder"]
