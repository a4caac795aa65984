"""A rollout worker: environments and the actors of their policies, sampled one fragment at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import EnvironmentAdapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor
from rl_platform.workers.abandoned import Abandoned
from rl_platform.workers.array_documents import join_arrays, split_arrays
from rl_platform.workers.columns import Identity
from rl_platform.workers.episode import Episode
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.lockstep import LockstepSampler
from rl_platform.workers.return_moments import MomentCounter
from rl_platform.workers.scattered import ScatteredSampler
from rl_platform.workers.worker_gradients import Differentiator

__all__ = ["Episode", "Fragment", "RolloutWorker", "environment_seeds"]

ENVS_PER_SOURCE = 1 << 16
ODD = 0x9E3779B1
"""Times an odd number modulo a power of two is one to one, so no two environments get the same seed."""
UNWATCHED = 3600.0
EPSILONS = "epsilons"
"""A knob: an epsilon for each environment of the run, in the order of workers and of their environments."""


class RolloutWorker:
    """Samples fragments of all policies of an adapter.

    ``look_back``: rows of the past that each trajectory carries; ``state_every``: rows between stored
    policy states (None: only the first). ``collect_moments``: count moments of box observations and of
    returns discounted by ``return_gamma``. Everything it draws depends on ``seed``, ``source`` (which
    worker) and the sequence number alone. With a ``differentiator`` its fragments hold gradients and no
    trajectories. Raises EnvironmentFault for what goes wrong in an environment.
    """

    def __init__(
        self,
        adapter: EnvironmentAdapter,
        policies: Mapping[str, Actor],
        *,
        look_back: int = 0,
        state_every: int | None = None,
        seed: int = 0,
        source: int = 0,
        watchdog: Watchdog | None = None,
        collect_moments: bool = False,
        return_gamma: float = 0.99,
        differentiator: Differentiator | None = None,
    ) -> None:
        if adapter.num_envs > ENVS_PER_SOURCE:
            raise ValueError(
                f"{adapter.num_envs} environments in one worker; expected at most {ENVS_PER_SOURCE}"
            )
        self.adapter, self.actors, self.seed, self.source = adapter, dict(policies), seed, source
        self.sequence = 0
        self.abandoned = Abandoned()
        self.differentiator = differentiator
        self._fresh: int | None = None  # the key of the last reset, while nothing has been sampled since
        self._started = False
        self._watched = watchdog is not None
        self.watchdog = watchdog or Watchdog(UNWATCHED)
        self.watchdog.name = adapter.name
        self.watchdog.progress = lambda: getattr(adapter, "current", None)
        self.identities = {
            policy: Identity(policy, lanes.env, lanes.agent, source, look_back, state_every)
            for policy, lanes in adapter.lanes.items()
        }
        self.sampler = self._sampler()
        self.counters = (
            {
                policy: MomentCounter(lanes.spaces, len(lanes), return_gamma)
                for policy, lanes in adapter.lanes.items()
            }
            if collect_moments
            else {}
        )
        self._epsilons: dict[str, np.ndarray] = {}  # by lane, where they differ
        self._noise_streams = {policy: NoiseStream(seed, policy, source) for policy in adapter.lanes}

    @property
    def num_envs(self) -> int:
        return self.adapter.num_envs

    def load(self, policy: str, weights: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """Act with these from the next fragment on. Each environment takes its own of ``epsilons``."""
        epsilons = knobs.get(EPSILONS)
        if epsilons is not None:
            number = self.source * self.num_envs + self.identities[policy].env
            self._epsilons[policy] = np.asarray(epsilons)[number % len(epsilons)]
        own = {name: knob for name, knob in knobs.items() if name != EPSILONS}
        self.actors[policy].load(weights, own, version)
        if self.differentiator is not None:
            self.differentiator.load(policy, weights, own)

    def reset(self, key: int = 0) -> None:
        """New episodes everywhere, from seeds that depend on (seed, source, environment, key) alone.

        What that cuts off is counted in the next fragment.
        """
        seeds = environment_seeds(self.seed, self.source, self.num_envs, key)
        with self._watch():
            self.abandoned = self.abandoned.plus(self.sampler.reset(seeds))
        for counter in self.counters.values():
            counter.running[:] = 0.0
        self._fresh, self._started = key, True

    def sample(self, ticks: int) -> Fragment:
        """One tick steps every environment once."""
        if not self._started:
            self.reset()
        self._fresh = None
        for identity in self.identities.values():
            identity.sequence = self.sequence
        noise = {policy: self._noise(policy, ticks) for policy in self.identities}
        with self._watch():
            trajectories, env_steps, episodes = self.sampler.sample(ticks, noise)
        self.sequence += 1
        abandoned, self.abandoned = self.abandoned, Abandoned()
        moments = [(policy, counter.count(trajectories[policy])) for policy, counter in self.counters.items()]
        agent_steps = {policy: trajectory.steps for policy, trajectory in trajectories.items()}
        fragment = Fragment(trajectories, env_steps, agent_steps, episodes, abandoned, moments, ticks=ticks)
        return fragment if self.differentiator is None else self.differentiator(fragment)

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """Lanes and, where they can tell, environments, as JSON and arrays. Between fragments."""
        lanes, arrays = self.sampler.snapshot()
        arrays = {f"lanes/{name}": leaf for name, leaf in arrays.items()}
        arrays |= {f"returns/{policy}": counter.running.copy() for policy, counter in self.counters.items()}
        state = self.adapter.snapshot() if self._started else None
        environments, more = split_arrays(state, "environments")
        document = {
            "sequence": self.sequence,
            "abandoned": list(self.abandoned),
            "fresh": self._fresh,
            "started": self._started,
            "lanes": lanes,
            "environments": environments,
        }
        return document, arrays | more

    def restore(self, document: Mapping[str, Any], arrays: Tree) -> None:
        """Go on from a snapshot of a worker that was made alike.

        Bit-exact where the environments could tell their state, or the snapshot was taken right after a
        `reset`. Otherwise all environments start new episodes, and the open ones count as abandoned.
        """
        lanes = {
            name.removeprefix("lanes/"): leaf for name, leaf in arrays.items() if name.startswith("lanes/")
        }
        state = join_arrays(document["environments"], arrays, "environments")
        again = state is None and document["fresh"] is not None
        if again:
            self.reset(document["fresh"])
        arrivals = self.sampler.restore(document["lanes"], lanes)
        self.sequence, self.abandoned = document["sequence"], Abandoned(*document["abandoned"])
        self._started, self._fresh = document["started"], document["fresh"]
        for policy, counter in self.counters.items():
            counter.running = arrays[f"returns/{policy}"].copy()
        if state is not None:
            with self._watch():
                self.adapter.restore(state, arrivals)
        elif self._started and not again:
            self.reset(-1 - self.sequence)

    def close(self) -> None:
        """Close the environments."""
        self.watchdog.close()
        self.adapter.close()

    def _sampler(self) -> LockstepSampler | ScatteredSampler:
        missing = self.identities.keys() - self.actors.keys()
        if missing:
            raise ValueError(f"no actor for policies {sorted(missing)}; got actors for {sorted(self.actors)}")
        if self.adapter.lockstep:
            ((policy, identity),) = self.identities.items()
            return LockstepSampler(self.adapter, self.actors[policy], identity, self.watchdog)
        return ScatteredSampler(self.adapter, self.actors, self.identities, self.watchdog)

    def _noise(self, policy: str, ticks: int) -> np.ndarray | None:
        """[T, L, width], or None for a policy that draws nothing."""
        actor = self.actors[policy]
        if not actor.noise_width:
            return None
        generator = self._noise_streams[policy].at(self.sequence)
        noise = actor.draw_noise(generator, (ticks, len(self.identities[policy].env)))
        if policy in self._epsilons:  # decided here for each lane: any epsilon above 0 explores with noise 1
            noise[..., 0] = noise[..., 0] > 1.0 - self._epsilons[policy]
        return noise

    def _watch(self) -> Watchdog | nullcontext[None]:
        return self.watchdog if self._watched else nullcontext()


class NoiseStream:
    """Random numbers of one policy on one worker; every fragment has a stream of its own."""

    def __init__(self, seed: int, policy: str, source: int) -> None:
        entropy = np.random.SeedSequence([seed, zlib.crc32(policy.encode()), source])
        self._stream = np.random.Philox(entropy)
        self._start = self._stream.state
        self._generator = np.random.Generator(self._stream)

    def at(self, sequence: int) -> np.random.Generator:
        """The generator at the beginning of fragment ``sequence``; the same one each time."""
        # Moving the counter is ten times as fast as making a generator, which draws entropy it doesn't need.
        self._start["state"]["counter"][:] = (0, 0, 0, sequence)
        self._stream.state = self._start
        return self._generator


def environment_seeds(seed: int, source: int, count: int, key: int) -> list[int]:
    """Seeds below 2**31 for the environments of one worker; no two are equal, nor those of two workers."""
    start = int(np.random.SeedSequence([seed, key & 0xFFFFFFFF]).generate_state(1)[0])
    return [(start + (source * ENVS_PER_SOURCE + env) * ODD) % (1 << 31) for env in range(count)]
