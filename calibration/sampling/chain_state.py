"""Chains in progress: all blocks so far, and how they are kept and taken up again."""

import json
from dataclasses import dataclass, replace

import numpy as np

from calibration.sampling.moves import Target, step
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Arrays


@dataclass(frozen=True, eq=False)
class ChainState:
    """All blocks so far; ``last`` is where the walkers stand. Blocks are ``(n_ensembles, n_steps, n_walkers, …)``.

    ``acceptances`` are the shares of moves taken, summed over the steps up to each, ``(n_ensembles, n_steps)``.
    ``streams`` are the states of the random streams at the end of the last block, whatever they have given since.
    """

    last: tuple[Array, Array]
    positions: tuple[Array, ...]
    logs: tuple[Array, ...]
    acceptances: tuple[Array, ...]
    streams: str

    @staticmethod
    def begin(target: Target, start: Array, streams: list[np.random.Generator]) -> "ChainState":
        log_density = target(start.reshape(-1, start.shape[-1])).reshape(start.shape[:2])
        return ChainState((start, log_density), (), (), (), _states(streams))

    @property
    def n_steps(self) -> int:
        return sum(block.shape[1] for block in self.positions)

    @property
    def position(self) -> Array:
        return np.concatenate(self.positions, axis=1)

    @property
    def log_density(self) -> Array:
        return np.concatenate(self.logs, axis=1)

    @property
    def acceptance(self) -> Array:
        return np.asarray(self.acceptances[-1][:, -1] / self.n_steps)

    @property
    def second_half(self) -> Array:
        return self.position[:, self.n_steps // 2 :]

    def first(self, n: int) -> "ChainState":
        """The first ``n`` steps, for a budget smaller than that of the chains that were kept; they do not go on."""
        if self.n_steps <= n:
            return self
        taken = np.concatenate(self.acceptances, axis=1)[:, :n]
        return replace(self, positions=(self.position[:, :n],), logs=(self.log_density[:, :n],), acceptances=(taken,))

    def block(self, target: Target, streams: list[np.random.Generator], n: int) -> "ChainState":
        position, log_density = self.last
        positions, logs, acceptances = [], [], []
        taken = self.acceptances[-1][:, -1] if self.acceptances else np.zeros(len(position))
        for _ in range(n):
            position, log_density, takes = step(target, position, log_density, streams)
            positions.append(position)
            logs.append(log_density)
            taken = taken + takes.mean(axis=1)
            acceptances.append(taken)
        return ChainState(
            (position, log_density),
            (*self.positions, np.stack(positions, axis=1)),
            (*self.logs, np.stack(logs, axis=1)),
            (*self.acceptances, np.stack(acceptances, axis=1)),
            _states(streams),
        )

    def arrays(self) -> Arrays:
        acceptances = np.concatenate(self.acceptances, axis=1)
        streams = np.array(self.streams)
        return {"position": self.position, "log": self.log_density, "acceptances": acceptances, "streams": streams}

    @staticmethod
    def of(stored: Arrays, streams: list[np.random.Generator]) -> "ChainState":
        """Undoes :meth:`arrays`; the streams go on from where they were."""
        for stream, state in zip(streams, json.loads(str(stored["streams"])), strict=True):
            stream.bit_generator.state = state
        position, log, acceptances = (np.array(stored[n], dtype=float) for n in ("position", "log", "acceptances"))
        return ChainState((position[:, -1], log[:, -1]), (position,), (log,), (acceptances,), _states(streams))


def _states(streams: list[np.random.Generator]) -> str:
    return json.dumps([stream.bit_generator.state for stream in streams])
