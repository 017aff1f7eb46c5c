"""The server's input audio buffer: bytes on a running millisecond count of all audio ever appended."""

from __future__ import annotations

from realtime_nb.errors import RemoteProtocolError

MIN_COMMIT_MS = 100
MAX_BUFFER_MS = 10 * 60 * 1000
"""Bound of one uncommitted buffer: ten minutes."""


class InputBuffer:
    """Audio in wire format, addressed by session milliseconds.

    Args:
        bytes_per_ms: of the wire format (48 for 24 kHz PCM16, 8 for G.711).
    """

    def __init__(self, bytes_per_ms: int = 48) -> None:
        self.bytes_per_ms = bytes_per_ms
        self._start_ms = 0.0
        self._audio = bytearray()

    @property
    def start_ms(self) -> float:
        """Where the kept audio begins on the session's count."""
        return self._start_ms

    @property
    def end_ms(self) -> float:
        """All audio appended in the session, in milliseconds."""
        return self._start_ms + len(self._audio) / self.bytes_per_ms

    @property
    def buffered_ms(self) -> float:
        """What a manual commit would take."""
        return len(self._audio) / self.bytes_per_ms

    def append(self, audio: bytes) -> None:
        """Append audio.

        Raises:
            RemoteProtocolError: `input_audio_buffer_full`; the chunk is refused, what is there stays.
        """
        if (len(self._audio) + len(audio)) / self.bytes_per_ms > MAX_BUFFER_MS:
            raise RemoteProtocolError(
                f"The input audio buffer holds {self.buffered_ms:.0f} ms; at most {MAX_BUFFER_MS} ms are kept.",
                code="input_audio_buffer_full",
                param="audio",
            )
        self._audio += audio

    def rewrite_end(self, audio: bytes, *, before: int = 0) -> None:
        """Put cleaned audio in the place of the last bytes appended, as far as they are still kept.

        Args:
            audio: as long as what it stands for.
            before: how many bytes at the very end stay as they are.
        """
        end = max(0, len(self._audio) - before)
        start = max(0, end - len(audio))
        self._audio[start:end] = audio[len(audio) - (end - start) :]

    def discard_before(self, ms: float) -> None:
        """Forget audio before `ms` (silence between turns), so that an open microphone costs no memory."""
        self._drop(self._offset(ms))

    def take(self, start_ms: float, end_ms: float) -> bytes:
        """Return the audio from `start_ms` to `end_ms` and forget everything up to `end_ms`."""
        start, end = self._offset(start_ms), self._offset(end_ms)
        audio = bytes(self._audio[start:end])
        self._drop(end)
        return audio

    def take_all(self) -> bytes:
        """Return all kept audio and empty the buffer.

        Raises:
            RemoteProtocolError: `input_audio_buffer_commit_empty` when there are less than 100 ms.
        """
        if self.buffered_ms < MIN_COMMIT_MS:
            raise RemoteProtocolError(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MIN_COMMIT_MS}ms of audio, but buffer only has {self.buffered_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        return self.take(self._start_ms, self.end_ms)

    def clear(self) -> None:
        """Throw the kept audio away; the running count goes on."""
        self._drop(len(self._audio))

    def change_format(self, bytes_per_ms: int) -> None:
        """Switch the wire format; kept audio of another format is dropped."""
        if bytes_per_ms != self.bytes_per_ms:
            self.clear()
            self.bytes_per_ms = bytes_per_ms

    def _offset(self, ms: float) -> int:
        sample_bytes = 2 if self.bytes_per_ms == 48 else 1
        offset = int((ms - self._start_ms) * self.bytes_per_ms / sample_bytes) * sample_bytes
        return max(0, min(offset, len(self._audio)))

    def _drop(self, n_bytes: int) -> None:
        self._start_ms += n_bytes / self.bytes_per_ms
        del self._audio[:n_bytes]
