"""What a model reads for one response, counted in tokens by the documented rates.

User audio is 1 token per 100 ms, assistant audio 1 token per 50 ms, text about 4 characters a token, an image 85 tokens
and 170 for each of its tiles of 512 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil

import msgspec

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.images import ImageSize, read_image
from realtime_nb.protocol.items import InputAudio, InputImage, Item, Message, OutputAudio, item_text
from realtime_nb.protocol.response import CachedTokenDetails, InputTokenDetails
from realtime_nb.protocol.server_response import ResponseSettings
from realtime_nb.protocol.spoken import AudioLedger

USER_AUDIO_MS_PER_TOKEN = 100
ASSISTANT_AUDIO_MS_PER_TOKEN = 50
CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 85
TILE_TOKENS = 170
TILE_PX, LONG_SIDE_PX, SHORT_SIDE_PX = 512, 2048, 768


class PromptPart(msgspec.Struct, frozen=True, kw_only=True):
    """One piece: the instructions with the tools, or an item.

    Attributes:
        fingerprint: equal for equal pieces only.
        item_id: "" for the instructions.
    """

    fingerprint: int
    item_id: str = ""
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All of it."""
        return self.text_tokens + self.audio_tokens + self.image_tokens


class Prompt(msgspec.Struct, frozen=True):
    """Everything that a model reads for one response, instructions and tools first."""

    parts: tuple[PromptPart, ...] = ()

    @property
    def tokens(self) -> int:
        """All of it."""
        return sum(part.tokens for part in self.parts)

    def shared_with(self, other: Prompt) -> int:
        """Return how many first parts are the same in both."""
        pairs = zip(self.parts, other.parts, strict=False)
        return next((n for n, (mine, its) in enumerate(pairs) if mine != its), min(len(self.parts), len(other.parts)))

    def details(self, n_cached: int) -> InputTokenDetails:
        """Return the wire's count of it, the first `n_cached` parts as cached."""
        text, audio, image = _sums(self.parts)
        cached_text, cached_audio, cached_image = _sums(self.parts[:n_cached])
        return InputTokenDetails(
            text_tokens=text,
            audio_tokens=audio,
            image_tokens=image,
            cached_tokens=cached_text + cached_audio + cached_image,
            cached_tokens_details=CachedTokenDetails(
                text_tokens=cached_text, audio_tokens=cached_audio, image_tokens=cached_image
            ),
        )


def _sums(parts: Iterable[PromptPart]) -> tuple[int, int, int]:
    parts = tuple(parts)
    return (
        sum(part.text_tokens for part in parts),
        sum(part.audio_tokens for part in parts),
        sum(part.image_tokens for part in parts),
    )


def text_tokens(text: str) -> int:
    """Return how many tokens a text counts for."""
    return ceil(len(text) / CHARACTERS_PER_TOKEN)


def image_tokens(size: ImageSize, detail: str = "auto") -> int:
    """Return how many tokens an image counts for; `auto` is high."""
    if detail == "low":
        return IMAGE_TOKENS
    shrink = min(1.0, LONG_SIDE_PX / max(size.width_px, size.height_px))
    shrink *= min(1.0, SHORT_SIDE_PX / (min(size.width_px, size.height_px) * shrink))
    tiles = ceil(size.width_px * shrink / TILE_PX) * ceil(size.height_px * shrink / TILE_PX)
    return IMAGE_TOKENS + TILE_TOKENS * tiles


class PromptReader:
    """Counts prompts of one connection."""

    def __init__(self) -> None:
        self._image_tokens: dict[str, int] = {}

    def read(self, settings: ResponseSettings, items: Iterable[Item], spoken: AudioLedger) -> Prompt:
        """Return the prompt for one response.

        Args:
            settings: of the response.
            items: with their ids set.
            spoken: knows how much audio they hold.
        """
        fixed = settings.instructions + (json.dumps(settings.tools) if settings.tools else "")
        parts = [PromptPart(fingerprint=hash(fixed), text_tokens=text_tokens(fixed))]
        parts += [self._part(item, spoken.audio_ms(str(item.id))) for item in items]
        seen = {part.item_id for part in parts}
        self._image_tokens = {key: count for key, count in self._image_tokens.items() if key in seen}
        return Prompt(tuple(parts))

    def _part(self, item: Item, audio_ms: float) -> PromptPart:
        said_by_user = any(isinstance(part, InputAudio) for part in _content(item))
        said = any(isinstance(part, OutputAudio) for part in _content(item))
        rate = ASSISTANT_AUDIO_MS_PER_TOKEN if said else USER_AUDIO_MS_PER_TOKEN
        text = "" if said_by_user and audio_ms else item_text(item)
        return PromptPart(
            fingerprint=hash((item.__class__.__name__, text, audio_ms)),
            item_id=str(item.id),
            text_tokens=text_tokens(text),
            audio_tokens=ceil(audio_ms / rate),
            image_tokens=self._images(item),
        )

    def _images(self, item: Item) -> int:
        images = [part for part in _content(item) if isinstance(part, InputImage)]
        if not images:
            return 0
        item_id = str(item.id)
        if item_id not in self._image_tokens:
            self._image_tokens[item_id] = sum(_tokens_of(image) for image in images)
        return self._image_tokens[item_id]


def _content(item: Item) -> list[object]:
    return list(item.content) if isinstance(item, Message) else []


def _tokens_of(image: InputImage) -> int:
    detail = image.detail if isinstance(image.detail, str) else "auto"
    try:
        return image_tokens(read_image(image.image_url, param="image_url"), detail)
    except RemoteProtocolError:
        return IMAGE_TOKENS
