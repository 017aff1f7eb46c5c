from collections.abc import AsyncIterator

import pytest

from realtime_nb.engines import flite_engine
from realtime_nb.engines.worker_synthesizer import WorkerSynthesizer
from tests.engines.voice_engine_contract import VoiceEngineContract
from tests.engines.voice_measures import started

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not flite_engine.available(), reason="libflite1 is not installed"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def synthesizer() -> AsyncIterator[WorkerSynthesizer]:
    async with started(flite_engine.create()) as running:
        yield running


class TestFlite(VoiceEngineContract):
    create = staticmethod(flite_engine.create)


def test_capabilities_name_licence_and_fidelity():
    capabilities = flite_engine.create().capabilities
    assert "Carnegie Mellon" in capabilities.licence
    assert "do not imitate" in capabilities.description
    assert capabilities.word_times
    assert capabilities.streaming
