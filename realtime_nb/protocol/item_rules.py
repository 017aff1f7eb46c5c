"""Which items a client may bring."""

from __future__ import annotations

from collections.abc import Sequence

from realtime_nb.errors import RemoteProtocolError

from .images import read_image
from .items import InputImage, InputItem, ItemReference, Message

_PARTS = {
    "system": ("input_text",),
    "assistant": ("output_text",),
    "user": ("input_text", "input_audio", "input_image"),
}


def check_new_item(item: InputItem) -> None:
    """Check an item of `conversation.item.create`.

    Raises:
        RemoteProtocolError: a part that its role cannot have, or an image that is none; nothing may be inserted.
    """
    if isinstance(item, Message):
        allowed = _PARTS[item.role]
        for index, part in enumerate(item.content):
            kind = str(part.__struct_config__.tag)
            if kind not in allowed:
                raise RemoteProtocolError(
                    f"Invalid value: '{kind}'. A {item.role} message takes {', '.join(allowed)}.",
                    code="invalid_value",
                    param=f"item.content[{index}].type",
                )
        _check_images(item, "item")


def check_input(items: Sequence[InputItem]) -> None:
    """Check `response.create`'s own context. Raises `RemoteProtocolError`."""
    for index, item in enumerate(items):
        where = f"response.input[{index}]"
        if isinstance(item, ItemReference) and not item.id:
            raise RemoteProtocolError(
                f"Missing required parameter: '{where}.id'.", code="missing_required_parameter", param=f"{where}.id"
            )
        _check_images(item, where)


def _check_images(item: InputItem, where: str) -> None:
    for index, part in enumerate(item.content if isinstance(item, Message) else ()):
        if isinstance(part, InputImage):
            read_image(part.image_url, param=f"{where}.content[{index}].image_url")
