"""What the worker tests run in the child."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from realtime_nb.engines.worker_main import Outlet, Push, callback_stream
from realtime_nb.errors import EngineUnavailable


class Sample:
    def __init__(self, push: Push) -> None:
        self._push = push
        self._seen: list[Any] = []
        self._produced = 0
        self._stopped = False

    def add(self, payload: dict[str, int]) -> int:
        return payload["a"] + payload["b"]

    def fail(self, payload: None) -> None:
        raise ValueError("no such luck")

    def unavailable(self, payload: None) -> None:
        raise EngineUnavailable("No such voice.", what_now="Pick another.")

    def pid(self, payload: None) -> int:
        return os.getpid()

    def remember(self, payload: Any) -> None:
        self._seen.append(payload)
        self._push(7, payload)

    def seen(self, payload: None) -> list[Any]:
        return self._seen

    def die(self, payload: str) -> None:
        print("about to go", file=sys.stderr)
        print(payload)
        sys.stdout.flush()
        os._exit(3)

    def hang(self, payload: None) -> None:
        time.sleep(3600)

    def count(self, payload: int) -> Iterator[int]:
        try:
            for number in range(payload):
                self._produced = number + 1
                yield number
        finally:
            self._stopped = True

    def count_then_die(self, payload: int) -> Iterator[int]:
        yield from range(payload)
        os._exit(4)

    def produced(self, payload: None) -> list[Any]:
        return [self._produced, self._stopped]

    @callback_stream
    def echo(self, payload: list[Any], out: Outlet) -> None:
        self._stopped = False
        for number, value in enumerate(payload):
            if not out.send(value):
                break
            self._produced = number + 1
        self._stopped = True


def main(push: Push) -> Sample:
    return Sample(push)


def broken(push: Push) -> Sample:
    raise EngineUnavailable("The weights are missing.", what_now="Fetch them.")


def dies_early(push: Push) -> Sample:
    print("segmentation imminent", file=sys.stderr)
    os._exit(139)
