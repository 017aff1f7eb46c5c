"""Clips by name: every row says which clip it asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from realtime_nb.audio import AudioClip
from realtime_nb.audio.bundled import clips as bundled_clips
from realtime_nb.errors import AudioError, ConfigurationError

Clips = Mapping[str, AudioClip] | Iterable[AudioClip | str | Path] | AudioClip | str


def named_clips(clips: Clips) -> dict[str, AudioClip]:
    """Return clips by unique names.

    Args:
        clips: by name; or clips, ids of bundled clips and paths of files, one or several.

    Raises:
        ConfigurationError: none at all, or two of the same name.
        AudioError: no such clip or file.
    """
    if isinstance(clips, Mapping):
        named = dict(clips)
    else:
        one = [clips] if isinstance(clips, AudioClip | str | Path) else list(clips)
        named = {}
        for number, each in enumerate(one, start=1):
            name, clip = _named(each, number)
            if name in named:
                again = "the same clip twice" if clip == named[name] else "two clips of the same name"
                raise ConfigurationError(
                    f"There is {again}: {name!r}.", what_now="Name them yourself: {'first': clip, 'second': other}."
                )
            named[name] = clip
    if not named:
        raise ConfigurationError("There is no clip to ask.", what_now="Give one or more, for example clip('hello').")
    empty = [name for name, clip in named.items() if not len(clip.samples)]
    if empty:
        raise ConfigurationError(f"There is no sound in: {', '.join(empty)}.", what_now="Leave them out.")
    return named


def fingerprint(clip: AudioClip) -> str:
    """Return a short hash of a clip's sound, so that a resumed comparison is known to ask the same."""
    digest = hashlib.sha256(clip.pcm16_bytes())
    digest.update(str(clip.sample_rate_hz).encode())
    return digest.hexdigest()[:16]


def _named(clip: AudioClip | str | Path, number: int) -> tuple[str, AudioClip]:
    if isinstance(clip, AudioClip):
        return clip.title or f"clip {number}", clip
    bundled = bundled_clips()
    if str(clip) in bundled:
        return str(clip), bundled[str(clip)]
    path = Path(clip)
    if not path.exists():
        raise AudioError(
            f"There is no file and no bundled clip {str(clip)!r}.", what_now=f"Bundled are: {', '.join(bundled)}."
        )
    return path.stem, AudioClip.load(path)
