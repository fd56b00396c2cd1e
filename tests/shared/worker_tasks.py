"""Tasks for tests of workers, in a module that a worker can import."""

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cipark_sd.base.errors import UnknownName


@dataclass(frozen=True)
class Square:
    number: int
    slow_first: bool = False
    count_in: str = ""

    @property
    def label(self):
        return f"square of {self.number}"

    @property
    def key(self):
        return f"square-{self.number}"

    def __call__(self, tell):
        if self.slow_first and self.number == 0:
            time.sleep(0.5)
        if self.count_in:
            (Path(self.count_in) / f"called-{self.number}-{uuid.uuid4()}").touch()
        tell(1, 2)
        return {"value": np.array(self.number**2)}


@dataclass(frozen=True)
class Misspelt:
    label = key = "misspelt"

    def __call__(self, tell):
        raise UnknownName("rat", ["rate", "size"], where="leaving")


@dataclass(frozen=True)
class Dying:
    label = key = "dying"

    def __call__(self, tell):
        os._exit(7)


@dataclass(frozen=True)
class Endless:
    label = key = "endless"

    def __call__(self, tell):
        while True:
            time.sleep(0.05)
            tell(0, 1)
