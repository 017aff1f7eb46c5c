"""A recording as one page that works from the file system, with no network and no kernel."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.errors import ConfigurationError
from realtime_nb.recording.format import CHANNELS, SAMPLE_RATE_HZ

from .page_data import page_data

if TYPE_CHECKING:
    from .reader import Recording

CODEC = "Ogg Vorbis, two channels at 24 kHz"
MIME = "audio/ogg; codecs=vorbis"
COMPRESSION = 0.9
"""libsndfile's scale: about 30 kbit/s for both voices. Vorbis keeps every sample in its place; MP3 does not."""
BLOCK_FRAMES = 10 * SAMPLE_RATE_HZ


def write_page(recording: Recording, path: Path, *, title: str = "") -> Path:
    """Write the page of a recording and return its path.

    Raises:
        ConfigurationError: the file cannot be written, or `soundfile` does not load.
    """
    page = page_html(recording, title=title)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(
            f"The page cannot be written to {path}: {problem.strerror or problem}.", what_now="Give another path."
        ) from problem
    return path


def page_html(recording: Recording, *, title: str = "") -> str:
    """Return the page.

    What was said and sent is JSON in a block that no browser runs, and the page's script only ever sets text. A content
    security policy allows nothing but that one script, that one style sheet, and sound out of the page itself.
    """
    style, script = _asset("page.css"), _asset("page.js")
    given_up = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        encoding = beside.submit(encoded, recording.stereo(), given_up)
        try:
            data = page_data(recording)
            audio = encoding.result()
        except BaseException:  # Ctrl-C must not wait for the rest of an hour
            given_up.set()
            raise
    data["audio"] = {"mime": MIME}
    if audio:
        data["footer"] += f" · sound: {CODEC}"
    parts = {
        "title": html.escape(title or f"Recording {recording.path.resolve().name}"),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "data": _as_script_text(data),
        "audio": base64.b64encode(audio).decode(),
    }
    page = _asset("page.html")
    pieces = []
    while (start := page.find("{")) >= 0:
        end = page.index("}", start)
        pieces += [page[:start], parts[page[start + 1 : end]]]
        page = page[end + 1 :]
    return "".join([*pieces, page])


def encoded(stereo: npt.NDArray[np.int16], given_up: threading.Event | None = None) -> bytes:
    """Return both voices as Ogg Vorbis; b"" when there is nothing. Ends early when `given_up` is set.

    Raises:
        ConfigurationError: `soundfile` does not load.
    """
    if len(stereo) == 0:
        return b""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"Sound is encoded with soundfile, which does not load here ({error}).",
            what_now="Install it with: pip install --force-reinstall soundfile",
        ) from error
    buffer = io.BytesIO()
    options: dict[str, Any] = {"format": "OGG", "subtype": "VORBIS", "compression_level": COMPRESSION}
    with soundfile.SoundFile(buffer, "w", SAMPLE_RATE_HZ, CHANNELS, **options) as file:
        for start in range(0, len(stereo), BLOCK_FRAMES):
            if given_up is not None and given_up.is_set():
                break
            file.write(np.ascontiguousarray(stereo[start : start + BLOCK_FRAMES]))
    return buffer.getvalue()


def _as_script_text(data: Any) -> str:
    """Return JSON that cannot end the block it stands in."""
    text = msgspec.json.encode(data).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("realtime_nb.replay") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
