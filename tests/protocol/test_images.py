from __future__ import annotations

import base64

import pytest

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol import images
from realtime_nb.protocol.images import ImageSize, read_image


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"


def jpeg(width: int, height: int, marker: int = 0xC0) -> bytes:
    application = b"\xff\xe0\x00\x10" + bytes(14)
    frame = b"\xff" + bytes([marker]) + b"\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"\xff\xd8" + application + b"\xff\xff\xdb\x00\x05abc" + frame + bytes(10)


def uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "image_url",
    [
        uri(png(640, 480)),
        uri(png(640, 480), "PNG"),
        uri(jpeg(640, 480), "jpeg"),
        uri(jpeg(640, 480, 0xC2), "jpg"),
    ],
)
def test_the_size_is_read_from_the_header(image_url: str) -> None:
    assert read_image(image_url, param="p") == ImageSize(640, 480)


@pytest.mark.parametrize(
    "image_url",
    [
        "",
        "https://example.org/cat.png",
        "data:image/png,raw",
        uri(png(1, 1), "gif"),
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,é",
        uri(jpeg(1, 1)),
        uri(png(1, 1), "jpeg"),
        uri(png(0, 1)),
        uri(png(1, 1)[:20]),
        uri(b"\xff\xd8\xff", "jpeg"),
        uri(b"\xff\xd8\xff\xda\x00\x02", "jpeg"),
        uri(b"\xff\xd8" + b"\xff\xe0\x00\x00" * 3, "jpeg"),
    ],
)
def test_everything_else_is_refused(image_url: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read_image(image_url, param="item.content[0].image_url")
    assert (refused.value.code, refused.value.param) == ("invalid_value", "item.content[0].image_url")


def test_an_image_of_the_very_bound_is_taken_and_one_byte_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for n_bytes in (100, 101, 102):
        monkeypatch.setattr(images, "MAX_IMAGE_BYTES", n_bytes)
        assert read_image(uri(png(1, 1).ljust(n_bytes)), param="p") == ImageSize(1, 1)
        with pytest.raises(RemoteProtocolError, match="larger"):
            read_image(uri(png(1, 1).ljust(n_bytes + 1)), param="p")
