"""Values that many tasks share: a process that gets one again and again makes it once, and compiles it once.

This file loads nothing heavy, since every command knows what a model is.
"""

import hashlib
import pickle
from dataclasses import fields
from functools import cached_property, lru_cache
from typing import Any

#: How many values of each process are remembered.
REMEMBERED = 16


class MadeOnce:
    """A frozen dataclass whose instances pickle as their fields, and come back as the instance made of them before."""

    @cached_property
    def _packed(self) -> tuple[str, bytes]:
        content = pickle.dumps({entry.name: getattr(self, entry.name) for entry in fields(self)})  # type: ignore[arg-type]
        return hashlib.sha256(content).hexdigest(), content

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (type(self), *self._packed)


@lru_cache(maxsize=REMEMBERED)
def _made(kind: Any, digest: str, content: bytes) -> object:
    return kind(**pickle.loads(content))
