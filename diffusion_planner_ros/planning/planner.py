# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plan by denoising: from a state to trajectories ranked by guides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, StateError
from ..goals.obstacle import Obstacle
from .bundle import Bundle
from .compiled_plan import CompiledPlan
from .conditions import Condition, normalized_condition
from .guides.guidance import push_factors
from .guides.guide import WeightedGuides
from .guides.guide_registry import GUIDES
from .guides.learned_value import LearnedValue
from .guides.target import Target
from .navigation.evasion import Evasion
from .navigation.obstacle_guide import Obstacles
from .planner_config import PlannerConfig
from .samplers import Noise, SAMPLERS


@dataclass(frozen=True)
class Plan:
    """What one planning step found."""

    candidates: NDArray
    """All trajectories in SI units, rows ``[a | s]``, torques within limits, shape (N, H, D)."""
    values: NDArray
    """Predicted discounted return of every candidate, shape (N,)."""
    clamped: NDArray
    """Whether a torque of a row was beyond its limit before it was clamped, shape (N, H)."""
    action_dim: int
    scores: NDArray
    """Weighted sum of what the guides prefer, a log-probability, shape (N,)."""

    @property
    def best(self) -> int:
        """Index of the chosen candidate: the one of the highest score."""
        return int(np.argmax(self.scores))

    @property
    def value(self) -> float:
        """Predicted discounted return of the chosen candidate."""
        return float(self.values[self.best])

    @property
    def actions(self) -> NDArray:
        """Torques of the chosen candidate [N m], shape (H, A)."""
        return self.candidates[self.best, :, :self.action_dim]

    @property
    def states(self) -> NDArray:
        """States of the chosen candidate [SI], shape (H, S)."""
        return self.candidates[self.best, :, self.action_dim:]


@dataclass(frozen=True)
class Start:
    """What a plan starts from."""

    state: NDArray
    """Measured, in the order and units of ``bundle.robot.state``, shape (S,)."""
    step: int = 0
    """Number of the control period; with ``config.seed`` it seeds the noise."""
    condition: Condition | None = None
    """What else is fixed, besides the first state."""


class Planner:
    """
    Denoise candidates from a state and rank them (Hu 2024, Algorithms 1.2 and 3).

    :raises ConfigError: if the configuration asks for what the model is without: as many steps, a
        dynamics model, a wanted return.
    """

    def __init__(self, bundle: Bundle, config: PlannerConfig) -> None:
        if config.states == 'forecast' and not bundle.has_dynamics:
            raise ConfigError(f"states is 'forecast', expected 'denoised': {bundle.path} has no "
                              'dynamics model; train and export the model again')
        schedule = bundle.schedule
        if config.n_denoise_steps > schedule.n_sampled:
            which = ('' if schedule.n_sampled == schedule.n_steps else
                     f': of its {schedule.n_steps}, those at which a predicted eps tells x_0')
            raise ConfigError(f'n_denoise_steps is {config.n_denoise_steps}, expected at most '
                              f'{schedule.n_sampled}, the diffusion steps of {bundle.path}{which}')
        if config.return_weight and not bundle.takes_return:
            raise ConfigError(f'return_weight is {config.return_weight}, expected 0: '
                              f'{bundle.path} cannot be told a return; train with a '
                              'return_share above 0')
        self.bundle = bundle
        self.config = config
        guides = {name: GUIDES[name](bundle, config) for name in config.guides}
        self._guides = WeightedGuides(guides, config.guide_weights)
        speed, obstacles = guides.get('speed'), guides.get('obstacles')
        self._speed = speed if isinstance(speed, Target) else None
        self._obstacles = obstacles if isinstance(obstacles, Obstacles) else None
        self._evasion = None if self._obstacles is None else Evasion(bundle, self._obstacles)
        self._is_told_speed = bundle.takes_speed and config.return_weight > 0
        self._wanted = config.target_speed if bundle.takes_speed else config.wanted_return
        self._learned_value = LearnedValue(bundle, config)
        self._bound = min(config.clip_denoised, bundle.largest_entry)
        self._levels = schedule.levels(config.n_denoise_steps)
        self._push_factors = push_factors(
            config.guidance, config.guidance_strength, config.n_unguided_steps, self._levels)

    @property
    def follows_speed(self) -> bool:
        """Whether guide ``speed`` is in use, or the denoiser is told a speed."""
        return self._speed is not None or self._is_told_speed

    def aim_speed(self, speed: float) -> None:
        """
        Plan with another speed than ``config.target_speed`` from now on.

        Guide ``speed`` prefers it, and a denoiser that can be told a speed is told it.

        Nothing is built anew, so that a command can change before every plan.

        :param speed: of ``config.speed_joint`` [m/s].
        :raises ConfigError: if neither is the case.
        """
        if not self.follows_speed:
            raise ConfigError('this planner follows no speed: guides is '
                              f"{', '.join(self.config.guides)}, expected 'speed' among them, or "
                              'a model that was trained to be told one (train --told speed) and '
                              'a return_weight above 0')
        if self._speed is not None:
            self._speed.aim(speed)
        if self._is_told_speed:
            self._wanted = speed

    @property
    def avoids_obstacles(self) -> bool:
        """Whether guide ``obstacles`` is in use."""
        return self._obstacles is not None

    def avoid(self, obstacles: Sequence[Obstacle]) -> None:
        """
        Plan around these obstacles, and no others, from now on; nothing is built anew.

        :raises ConfigError: if guide ``obstacles`` is not in use.
        """
        if self._obstacles is None:
            raise ConfigError(f"guides is {', '.join(self.config.guides)}, expected 'obstacles' "
                              'among them to avoid obstacles, as preset maze has it')
        self._obstacles.obstacles = tuple(obstacles)

    def is_like(self, other: 'Planner') -> bool:
        """
        Return whether the other one makes the same plans, which ``plans`` may make together then.

        Those that follow a speed do not: each may be told another one at any time. Those that
        avoid obstacles have to know the same ones.
        """
        return self is other or (
            self.config == other.config and self.bundle.hash == other.bundle.hash
            and not self.follows_speed and self._known_obstacles == other._known_obstacles)

    @property
    def _known_obstacles(self) -> tuple[Obstacle, ...]:
        return () if self._obstacles is None else self._obstacles.obstacles

    def plan(self, state: NDArray, *, step: int = 0, condition: Condition | None = None,
             on_step: Callable[[int, NDArray], None] | None = None) -> Plan:
        """
        Plan from one measured state.

        :param state: in the order and units of ``bundle.robot.state``, shape (S,).
        :param step: number of the control period; with ``config.seed`` it seeds the noise.
        :param condition: what else is fixed, besides the first state.
        :param on_step: sees the candidates being denoised; see ``denoise``.
        :raises StateError: if the state has another shape, or it or the plan is not finite.
        """
        return self.plans([Start(state, step, condition)], on_step=on_step)[0]

    def plans(self, starts: Sequence[Start], *,
              on_step: Callable[[int, NDArray], None] | None = None) -> list[Plan]:
        """
        Plan from several states in one batch through the networks, as of several robots.

        Each plan has the noise that ``plan`` gives it. But for rounding it is the same plan.

        :param on_step: sees the candidates of all, those of the first start first.
        :raises StateError: if a state has another shape, or it or a plan is not finite.
        """
        bundle, robot = self.bundle, self.bundle.robot
        n_action, limit = robot.action_dim, robot.torque_limit
        known, mask = self._known(starts)
        seeds = [(self.config.seed, start.step) for start in starts]
        if (self._compiled is not None and on_step is None
                and (len(starts) == 1 or bundle.plans_several)):
            x_0, value = bundle.plan(self._compiled.inputs(known, mask, seeds=seeds))
            preferred = {'learned_value': self._learned_value.of_normalized(value)}
        else:
            x_0, preferred = self.denoise(known, mask, seeds=seeds, on_step=on_step), None
        if bundle.window == 'states':
            self._act(x_0, mask)
        changes = None
        if self._evasion is not None and self._known_obstacles:
            changes = self._evasion.evade(x_0, mask)
        candidates = bundle.normalizer.unnormalize(x_0.astype(np.float64))
        actions = candidates[:, :, :n_action]
        clamped = (np.abs(actions) > limit).any(axis=2)
        np.clip(actions, -limit, limit, out=actions)
        if preferred is None:
            # What is ranked is what will be executed.
            np.clip(x_0, *bundle.row_limits, out=x_0)
            if self.config.states == 'forecast' or bundle.window == 'actions':
                self._forecast(x_0, mask)
                candidates[:, :, n_action:] = bundle.normalizer.unnormalize(
                    x_0.astype(np.float64))[:, :, n_action:]
            preferred = self._guides.values(x_0)
        if changes is not None:
            preferred['obstacles'] = preferred['obstacles'] + changes
        scores = self._guides.score(preferred)
        value = (preferred['learned_value'] if 'learned_value' in preferred
                 else self._learned_value.value(x_0))
        values = self._learned_value.predicted_return(value)
        if not all(np.isfinite(array).all() for array in (candidates, values, scores)):
            raise StateError('the plan has values that are not finite; the state is too far from '
                             'all that the model was trained on')
        n = self.config.n_candidates
        return [Plan(candidates[k:k + n], values[k:k + n], clamped[k:k + n], n_action,
                     scores[k:k + n]) for k in range(0, n * len(starts), n)]

    def _known(self, starts: Sequence[Start]) -> tuple[NDArray, NDArray]:
        """
        Return what is known, normalised, and where.

        :return: both (1, H, D) from a single start; from several ones (B, H, D), one of each for
            every candidate.
        """
        bundle, clip = self.bundle, self.bundle.robot.state_clip
        found = [normalized_condition(
            bundle, np.clip(bundle.check_state(start.state), -clip, clip), start.condition)
            for start in starts]
        if len(found) == 1:
            (known, mask), = found
            return known[None], mask[None]
        known, mask = (np.repeat(arrays, self.config.n_candidates, axis=0)
                       for arrays in zip(*found, strict=True))
        return known, mask

    @cached_property
    def _compiled(self) -> CompiledPlan | None:
        """Faster than the general loop; None where only that one does what is asked for."""
        if not CompiledPlan.serves(self.bundle, self.config):
            return None
        return CompiledPlan(self.bundle, self.config)

    def _act(self, x_0: NDArray, mask: NDArray) -> None:
        """
        Put the actions between the states of trajectories (N, H, D) in, but where they are fixed.

        Nothing follows the last state, so its action is the one before.
        """
        n, horizon, n_action = *x_0.shape[:2], self.bundle.robot.action_dim
        before, after = (states.reshape(n * (horizon - 1), -1) for states in (
            x_0[:, :-1, n_action:], x_0[:, 1:, n_action:]))
        actions = self.bundle.action_between(before, after).reshape(n, horizon - 1, n_action)
        actions = np.concatenate([actions, actions[:, -1:]], axis=1)
        np.copyto(x_0[:, :, :n_action], actions, where=~mask[..., :n_action])

    def _forecast(self, x_0: NDArray, mask: NDArray) -> None:
        """
        Put in place of the states of trajectories (N, H, D) those that their actions lead to.

        A state that is fixed stays as it is.
        """
        bound, n_action = self._bound, self.bundle.robot.action_dim
        for k in range(self.bundle.horizon - 1):
            states = np.clip(self.bundle.next_state(x_0[:, k]), -bound, bound)
            np.copyto(x_0[:, k + 1, n_action:], states, where=~mask[..., k + 1, n_action:])

    def denoise(self, known: NDArray, mask: NDArray, *, seeds: Sequence[int | Sequence[int]],
                on_step: Callable[[int, NDArray], None] | None = None) -> NDArray:
        """
        Denoise candidates from noise, the known part put back after every step.

        :param known: normalised values, shape (1, H, D) or (B, H, D); ``mask`` says where they
            hold.
        :param seeds: of the noise, one for each plan, which has N candidates.
        :param on_step: called with diffusion time t and x_t, shape (B, H, D), before every step
            and at the end; here t counts as in Ho et al. (2020), from T of pure noise to 0;
            from less, where the model predicts eps.
        :return: normalised trajectories, shape (B, H, D), B = N times the number of plans.
        """
        config, noise = self.config, Noise(seeds)
        shape, temperature = (config.n_candidates, *known.shape[-2:]), config.temperature
        x_t = np.float32(temperature) * noise.draw(shape)
        np.copyto(x_t, known, where=mask)
        if on_step is not None:
            on_step(self._levels[0][0] + 1, x_t.copy())
        steps = SAMPLERS[config.sampler](partial(self._predict, known=mask), x_t, self._levels)
        drawn = None
        for factor in self._push_factors:
            s, x_s, std = next(steps) if drawn is None else steps.send(drawn)
            np.copyto(x_s, known, where=mask)
            if factor and config.guidance == 'diffuser':
                self._push(x_s, s, factor, known, mask)
            if std:
                x_s += std * temperature * noise.draw(shape)
                np.copyto(x_s, known, where=mask)
            if factor and config.guidance == 'hu':
                self._push(x_s, s, factor, known, mask)
            if on_step is not None:
                on_step(s + 1, x_s.copy())
            drawn = x_s
        return x_s

    def _push(self, x_s: NDArray, s: int, factor: float | np.floating, known: NDArray,
              mask: NDArray) -> None:
        """Move trajectories (B, H, D) along the gradient of what the guides prefer, in place."""
        for _ in range(self.config.n_guide_steps):
            x_s += factor * self._guides.gradient(x_s, s)
            np.copyto(x_s, known, where=mask)

    def _predict(self, x_t: NDArray, t: int, known: NDArray) -> NDArray:
        """Predict x_0 (B, H, D), bounded."""
        config = self.config
        x_0 = self.bundle.denoise(
            x_t, t, known, wanted=self._wanted if config.return_weight else None,
            weight=config.return_weight)
        return np.clip(x_0, -self._bound, self._bound)
