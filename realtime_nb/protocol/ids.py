"""Identifiers as the wire shows them: a prefix and 21 alphanumerics."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits
_LETTER_OF_BYTE = (_ALPHABET * 5)[:256].encode()


class IdFactory:
    """Makes identifiers; give a seed for reproducible ones.

    The shape (`event_`, `item_`, `resp_`, `conv_`, `sess_` + 21 alphanumerics, `call_` for calls) is that of
    published captures of the service.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed) if seed is not None else random.SystemRandom()

    def new(self, prefix: str) -> str:
        """Return `prefix` + "_" + 21 alphanumerics."""
        return f"{prefix}_{self._random.randbytes(21).translate(_LETTER_OF_BYTE).decode()}"
