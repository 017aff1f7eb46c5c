import warnings

import numpy as np
import pytest

from realtime_nb.audio import g711

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop", reason="the reference left the standard library in Python 3.13")

EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)
EVERY_BYTE = bytes(range(256))


def test_mulaw_is_bit_exact():
    assert g711.encode_mulaw(EVERY_SAMPLE) == audioop.lin2ulaw(EVERY_SAMPLE.astype("<i2").tobytes(), 2)
    assert g711.decode_mulaw(EVERY_BYTE).astype("<i2").tobytes() == audioop.ulaw2lin(EVERY_BYTE, 2)


def test_alaw_is_bit_exact():
    assert g711.encode_alaw(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE.astype("<i2").tobytes(), 2)
    assert g711.decode_alaw(EVERY_BYTE).astype("<i2").tobytes() == audioop.alaw2lin(EVERY_BYTE, 2)


def test_what_was_decoded_encodes_to_itself():
    again = g711.encode_alaw(g711.decode_alaw(EVERY_BYTE))
    assert again == EVERY_BYTE
    mulaw = g711.decode_mulaw(EVERY_BYTE)
    assert np.array_equal(g711.decode_mulaw(g711.encode_mulaw(mulaw)), mulaw)


def test_nothing_becomes_nothing():
    empty = np.zeros(0, dtype=np.int16)
    assert g711.encode_mulaw(empty) == g711.encode_alaw(empty) == b""
    assert len(g711.decode_mulaw(b"")) == len(g711.decode_alaw(b"")) == 0
