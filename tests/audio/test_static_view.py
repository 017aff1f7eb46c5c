from xml.etree import ElementTree

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.audio.static_view import WaveformRegion, waveform_svg

SVG = "{http://www.w3.org/2000/svg}"


def parsed(*arguments, **options) -> ElementTree.Element:
    return ElementTree.fromstring(waveform_svg(*arguments, **options))


def test_the_wave_has_a_column_for_each_pixel_and_stays_inside():
    samples = np.tile(np.array([-32_768, 32_767], dtype=np.int16), 1_000)
    svg = parsed(AudioClip(samples, title="loud"), width=50, height=40)
    path = svg.findall(f"{SVG}path")[1].get("d")
    numbers = [float(part) for column in path.split("M")[1:] for part in column.split(" ")[1].split("V")]
    assert path.count("M") == 50
    assert min(numbers) >= 0
    assert max(numbers) <= 40
    assert "loud" in svg.get("aria-label")


def test_regions_are_cut_to_the_clip_and_labelled():
    clip = AudioClip.silence(1_000)
    regions = [(-100, 500), WaveformRegion(900, 5_000, "a < b", "red"), (600, 500), (2_000, 3_000, "outside")]
    rects = parsed(clip, width=100, height=10, regions=regions).findall(f"{SVG}rect")
    assert [(rect.get("x"), rect.get("width")) for rect in rects] == [("0.0", "50.0"), ("90.0", "10.0")]
    assert rects[1].find(f"{SVG}title").text == "a < b"
    assert rects[1].get("fill") == "red"


@pytest.mark.parametrize("title", ['"><script>alert(1)</script>', "a & b"])
def test_titles_and_colors_cannot_break_out(title: str):
    svg = parsed(AudioClip.silence(10, 24_000) + AudioClip(np.zeros(1, np.int16), title=title), color='"><x y="')
    assert not [element for element in svg.iter() if element.tag.endswith(("script", "x"))]


def test_an_empty_clip_is_a_flat_line():
    assert parsed(AudioClip.silence(0), regions=[(0, 10)]).find(f"{SVG}rect") is None
