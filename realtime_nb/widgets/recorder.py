"""Record the browser's microphone into a clip."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.audio.format import PCM16_BYTES_PER_MS
from realtime_nb.errors import AudioError, ConfigurationError
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import Desk, LinkedWidget, bundled
from realtime_nb.widgets.link_client import BinaryFrame, LinkClient

__all__ = ["Recorder"]

MAX_SECONDS = 600.0
VIEW_TIMEOUT_S = 15.0
PERMISSION_TIMEOUT_S = 60.0


class RecorderDesk(Desk):
    """The Recorder on the runtime loop."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.clip: AudioClip | None = None
        self.truncated = False
        self._take = bytearray()
        self._recording = False
        self._microphone = messages.MicrophoneState(state="stopped")
        self._changed = asyncio.Event()
        self._commands |= {"record_start": self._record_start, "record_stop": self._record_stop}

    async def record(self, seconds: float) -> AudioClip:
        """Record from the active view; see `Recorder.record`."""
        client = await self._active_view()
        if self._recording:
            raise AudioError("This Recorder is recording already.", what_now="Wait for its end, or press Stop.")
        self._begin()
        self._microphone = messages.MicrophoneState(state="stopped")
        client.send(messages.MicrophoneControl(open=True))
        try:
            async with asyncio.timeout(PERMISSION_TIMEOUT_S):
                await self._until(lambda: bool(self._take))
            wanted_bytes = math.ceil(seconds * 1000) * PCM16_BYTES_PER_MS
            async with asyncio.timeout(seconds + VIEW_TIMEOUT_S):
                await self._until(lambda: len(self._take) >= wanted_bytes)
            del self._take[wanted_bytes:]
        except TimeoutError:
            raise AudioError(
                "The browser sent too little sound.", what_now="Allow the microphone on this page and try again."
            ) from None
        finally:
            client.send(messages.MicrophoneControl(open=False))
            self._finish()
        assert self.clip is not None
        return self.clip

    def on_active(self, client: LinkClient | None) -> None:
        """A recording ends with its view."""
        if self._recording:
            self._finish()
        self._changed.set()

    def on_binary(self, client: LinkClient, frame: BinaryFrame) -> None:
        """Keep the active view's microphone while recording, ten minutes at most."""
        if frame.kind == messages.KIND_MICROPHONE and self._recording and client is self.link.active:
            if len(self._take) + len(frame.payload) > MAX_SECONDS * 1000 * PCM16_BYTES_PER_MS:
                self.truncated = True
                self.notify(
                    AudioError("Ten minutes are recorded; the rest is left out.", what_now="Stop now."), "warning"
                )
                self._finish()
            else:
                self._take += frame.payload
            self._changed.set()

    def on_message(self, client: LinkClient, message: messages.Message) -> None:
        """Microphone news; the rest are commands."""
        if isinstance(message, messages.MicrophoneState):
            self._microphone = message
            self._changed.set()
        else:
            super().on_message(client, message)

    async def _record_start(self, client: LinkClient, command: messages.Command) -> None:
        self.link.activate(client.client_id)
        self._begin()

    async def _record_stop(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        self._finish()
        return {"duration_ms": round(self.clip.duration_ms) if self.clip is not None else 0}

    def _begin(self) -> None:
        self._take = bytearray()
        self._recording, self.truncated = True, False

    def _finish(self) -> None:
        if self._recording and self._take:
            samples = np.frombuffer(bytes(self._take[: len(self._take) // 2 * 2]), dtype="<i2").astype(np.int16)
            self.clip = AudioClip(samples, 24_000, title="Recording", origin="microphone")
        self._recording = False

    async def _active_view(self) -> LinkClient:
        try:
            async with asyncio.timeout(VIEW_TIMEOUT_S):
                while self.link.active is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ConfigurationError(
                "No view of this Recorder is open in a browser.", what_now="Show it in a cell first, then record."
            ) from None
        return self.link.active

    async def _until(self, reached: Any) -> None:
        while not reached():
            if self._microphone.state == "failed":
                raise AudioError(
                    f"The microphone could not be opened ({self._microphone.error_name}).",
                    what_now=self._microphone.error_message or "Allow the microphone on this page and try again.",
                )
            if not self._recording:
                raise AudioError("The recording was broken off.", what_now="Keep the widget open while it records.")
            self._changed.clear()
            await self._changed.wait()


class Recorder(LinkedWidget):
    """Record the browser's microphone: with its button, or from a cell with `await recorder.record(seconds=3)`."""

    _esm = bundled("recorder.js")
    _css = bundled("recorder.css")
    _desk: RecorderDesk

    @property
    def clip(self) -> AudioClip | None:
        """The last take, 24 kHz mono; None before the first."""
        return self._desk.clip

    async def record(self, seconds: float = 3.0) -> AudioClip:
        """Record for some seconds in the view that is open. Cancelling closes the microphone and keeps what came.

        Raises:
            AudioError: the microphone was refused, is missing, or the view was closed; or it is recording already.
            ConfigurationError: no view is open, or more than ten minutes are asked for.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise ConfigurationError(f"{seconds:g} s cannot be recorded.", what_now=f"Ask for up to {MAX_SECONDS:g} s.")
        return await self._runtime.call(self._desk.record(seconds))

    def _make_desk(self) -> RecorderDesk:
        return RecorderDesk(self._runtime, self.send)
