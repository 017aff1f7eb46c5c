"""Cut a stream of samples into chunks of one size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]


class Rechunker:
    """Collects samples and gives them back in chunks of exactly `n_samples`.

    Holds less than one chunk at any time.

    Raises:
        ValueError: `n_samples` is not positive.
    """

    def __init__(self, n_samples: int) -> None:
        if n_samples < 1:
            raise ValueError(f"a chunk needs at least one sample, not {n_samples}")
        self.n_samples = n_samples
        self._rest = np.zeros(0, dtype=np.int16)

    def push(self, pcm16: Pcm16) -> list[Pcm16]:
        """Add samples; return the chunks that are now complete, oldest first."""
        joined = np.concatenate((self._rest, np.asarray(pcm16, dtype=np.int16)))
        whole = len(joined) - len(joined) % self.n_samples
        self._rest = joined[whole:].copy()
        return [joined[start : start + self.n_samples] for start in range(0, whole, self.n_samples)]

    def flush(self) -> Pcm16:
        """Return what is left, shorter than a chunk and maybe empty, and forget it."""
        rest, self._rest = self._rest, np.zeros(0, dtype=np.int16)
        return rest
