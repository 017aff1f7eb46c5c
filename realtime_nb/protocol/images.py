"""Images in user messages: which are taken, and how large they are. Reads headers only; decodes no pixels."""

from __future__ import annotations

import base64
import binascii

import msgspec

from realtime_nb.errors import RemoteProtocolError

MAX_IMAGE_BYTES = 10 * 1024 * 1024
"""Of one image, decoded."""
_PREFIXES = {"data:image/png;base64,": "png", "data:image/jpeg;base64,": "jpeg", "data:image/jpg;base64,": "jpeg"}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageSize(msgspec.Struct, frozen=True):
    """Pixels."""

    width_px: int
    height_px: int


def read_image(image_url: str, *, param: str) -> ImageSize:
    """Check an `input_image` and return its size.

    Args:
        image_url: a data URI of a PNG or JPEG.
        param: the field to name in an error.

    Raises:
        RemoteProtocolError: `invalid_value`; it is something else, broken, or too large.
    """
    prefix = next((one for one in _PREFIXES if image_url[: len(one)].lower() == one), None)
    if prefix is None:
        raise _refused("it must be a data URI of type image/png or image/jpeg, in base64", param)
    if (len(image_url) - len(prefix)) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        raise _refused(f"the image is larger than {MAX_IMAGE_BYTES:,} bytes", param)
    try:
        data = base64.b64decode(image_url[len(prefix) :], validate=True)
    except (binascii.Error, ValueError) as problem:
        raise _refused("its base64 cannot be decoded", param) from problem
    if len(data) > MAX_IMAGE_BYTES:
        raise _refused(f"the image is larger than {MAX_IMAGE_BYTES:,} bytes", param)
    size = _png_size(data) if _PREFIXES[prefix] == "png" else _jpeg_size(data)
    if size is None or not size.width_px or not size.height_px:
        raise _refused(f"it holds no readable {_PREFIXES[prefix].upper()} image", param)
    return size


def _png_size(data: bytes) -> ImageSize | None:
    if not data.startswith(_PNG_SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return ImageSize(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


def _jpeg_size(data: bytes) -> ImageSize | None:
    if not data.startswith(_JPEG_SIGNATURE):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZE_MARKERS:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return ImageSize(int.from_bytes(width, "big"), int.from_bytes(height, "big"))
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _refused(why: str, param: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"Invalid value for '{param}': {why}.", code="invalid_value", param=param)
