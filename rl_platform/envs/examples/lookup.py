"""Look up one element of a set: what belongs to the key that is asked for?

Every observation holds a set of a varying number of (key, answer) pairs in random order, and a key to ask
for. Naming its answer pays 1. No place in the set means anything, so an encoder that reads the elements in
their order would have to learn every pair at every place; one that treats all elements alike and pools them
by what is asked solves it exactly.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Sequence

Observation = dict[str, Any]


class Lookup(gymnasium.Env[Observation, np.int64]):
    """``keys`` different keys of which a set holds 2 or more, each with one of ``answers``.

    Observation: ``asked`` (Discrete ``keys``) and ``pairs`` (a Sequence; one-hot key and answer).
    ``questions`` are asked in an episode; the best return is their number, and guessing gets 1/``answers`` of
    it.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self, keys: int = 8, answers: int = 4, questions: int = 10) -> None:
        self.keys, self.answers, self.questions = keys, answers, questions
        self.asked = 0
        pair = Box(0.0, 1.0, (keys + answers,), np.float32)
        self.observation_space = Dict({"asked": Discrete(keys), "pairs": Sequence(pair, stack=True)})
        self.action_space = Discrete(answers)
        self.right = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        self.asked = 0
        return self._question(), {}

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.right)
        self.asked += 1
        return self._question(), reward, self.asked == self.questions, False, {}

    def _question(self) -> Observation:
        random = self.np_random
        size = int(random.integers(2, self.keys + 1))
        keys = random.permutation(self.keys)[:size]
        answers = random.integers(0, self.answers, size)
        pairs = np.zeros((size, self.keys + self.answers), np.float32)
        pairs[np.arange(size), keys] = 1.0
        pairs[np.arange(size), self.keys + answers] = 1.0
        place = int(random.integers(size))
        self.right = int(answers[place])
        return {"asked": int(keys[place]), "pairs": pairs}
