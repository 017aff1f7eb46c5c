import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.audio.rechunk import Rechunker


@given(st.integers(1, 50), st.lists(st.integers(0, 120), max_size=12))
def test_nothing_is_lost_reordered_or_kept_beyond_a_chunk(n_samples: int, lengths: list[int]):
    rechunker = Rechunker(n_samples)
    signal = np.arange(sum(lengths), dtype=np.int16)
    chunks = []
    for piece in np.split(signal, np.cumsum(lengths))[: len(lengths)]:
        chunks += rechunker.push(piece)
        assert len(chunks) == int(piece[-1] + 1 if len(piece) else sum(map(len, chunks))) // n_samples
    rest = rechunker.flush()
    assert all(len(chunk) == n_samples for chunk in chunks)
    assert len(rest) < n_samples
    assert np.array_equal(np.concatenate([*chunks, rest]), signal)
    assert len(rechunker.flush()) == 0


def test_a_chunk_needs_a_sample():
    with pytest.raises(ValueError, match="at least one"):
        Rechunker(0)
