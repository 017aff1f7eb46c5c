"""Nothing in the tree tells on a machine: no absolute paths of one, no addresses of its package registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tree import name_of, project_files

BINARY = {".wav", ".flac", ".ogg", ".mp3", ".png", ".jpg", ".gif", ".woff2", ".gz", ".bin", ".npz"}
LEAKS = {
    "a machine's path": re.compile(r"(?<![\w.>/])/(?:work|root|tmp|Users|opt)/\w|(?<![\w.>/])/home/(?!jovyan)\w"),
    "a lock file's registry address": re.compile(r'"resolved"\s*:|^(?:extra-)?index-url|^registry\s*=', re.MULTILINE),
    "a key": re.compile(r"sk-(?:proj-)?[A-Za-z0-9]{32,}"),
}
FILES = [path for path in project_files() if path.suffix not in BINARY and path != Path(__file__).resolve()]


def leaks(text: str) -> dict[str, str]:
    """Return what a text gives away, with an example each."""
    return {what: found.group() for what, pattern in LEAKS.items() if (found := pattern.search(text))}


def test_no_file_tells_on_a_machine() -> None:
    assert len(FILES) > 20
    assert {name_of(path): found for path in FILES if (found := leaks(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "text", ["open('/tmp/x.wav')", "cd /home/ann/src", '"resolved": "https://x"', "sk-" + "a" * 40]
)
def test_the_check_can_fail(text: str) -> None:
    assert leaks(text)


@pytest.mark.parametrize("text", ["https://x.org/tmp/y", "../job/z", "/home/jovyan/x", "https://github.com/opt/x"])
def test_harmless_text_passes(text: str) -> None:
    assert leaks(text) == {}
