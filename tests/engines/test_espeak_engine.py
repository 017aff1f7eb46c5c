import sys
from collections.abc import AsyncIterator

import psutil
import pytest

from realtime_nb.engines import espeak_engine
from realtime_nb.engines.worker_synthesizer import WorkerSynthesizer
from tests.engines.voice_engine_contract import VoiceEngineContract
from tests.engines.voice_measures import spoken, started

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not espeak_engine.available(), reason="espeakng-loader is not installed"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def synthesizer() -> AsyncIterator[WorkerSynthesizer]:
    async with started(espeak_engine.create()) as running:
        yield running


class TestEspeak(VoiceEngineContract):
    create = staticmethod(espeak_engine.create)


async def test_gpl_code_is_never_loaded_into_this_process(synthesizer: WorkerSynthesizer):
    assert await spoken(synthesizer, "Hello.")
    assert "espeakng_loader" not in sys.modules
    assert not any("espeak" in mapped.path for mapped in psutil.Process().memory_maps())


def test_capabilities_name_the_licence():
    assert "GPL-3" in espeak_engine.create().capabilities.licence
