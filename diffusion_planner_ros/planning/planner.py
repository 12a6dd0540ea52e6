"""Plan by denoising: from a state to trajectories ranked by value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, StateError
from .bundle import Bundle
from .planner_config import PlannerConfig
from .samplers import ddim_step, ddpm_step


@dataclass(frozen=True)
class Condition:
    """Entries of a trajectory that are fixed (inpainting): goals, actions already committed."""

    known: NDArray
    """Values [N m, SI], shape (H, D), rows ``[a | s]``."""
    mask: NDArray
    """True where ``known`` holds, shape (H, D)."""


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

    @property
    def best(self) -> int:
        """Index of the chosen candidate: the one of the highest value."""
        return int(np.argmax(self.values))

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


class Planner:
    """
    Denoise candidates from one state and rank them (Hu 2024, Algorithms 1.2 and 3).

    :raises ConfigError: if the configuration asks for more steps than the model has, or for a
        dynamics model that the bundle is without.
    """

    def __init__(self, bundle: Bundle, config: PlannerConfig) -> None:
        if config.states == 'forecast' and not bundle.has_dynamics:
            raise ConfigError(f"states is 'forecast', expected 'denoised': {bundle.path} has no "
                              'dynamics model; train and export the model again')
        if config.n_denoise_steps > bundle.schedule.n_steps:
            raise ConfigError(f'n_denoise_steps is {config.n_denoise_steps}, expected at most '
                              f'{bundle.schedule.n_steps}, the diffusion steps of {bundle.path}')
        self.bundle = bundle
        self.config = config
        self._times = bundle.schedule.ddim_steps(config.n_denoise_steps).tolist()
        # Python floats: numpy would turn single precision arrays into double with its own.
        self._alpha_bar = bundle.schedule.alpha_bar.tolist()
        self._posterior_variance = bundle.schedule.posterior_variance.tolist()

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
        robot = self.bundle.robot
        state = self.bundle.check_state(state)
        known, mask = self._fixed(np.clip(state, -robot.state_clip, robot.state_clip), condition)
        x_0 = self.denoise(known, mask, seed=(self.config.seed, step), on_step=on_step)
        limit, unnormalize = robot.torque_limit, self.bundle.normalizer.unnormalize
        candidates = unnormalize(x_0.astype(np.float64))
        clamped = (np.abs(candidates[:, :, :robot.action_dim]) > limit).any(axis=2)
        if self.config.states == 'forecast':
            x_0 = self._forecast(x_0, mask)
            candidates = unnormalize(x_0.astype(np.float64))
        value = self.bundle.value(x_0, 0)
        actions = candidates[:, :, :robot.action_dim]
        np.clip(actions, -limit, limit, out=actions)
        values = self.bundle.value_normalizer.unnormalize(value.astype(np.float64))
        if not (np.isfinite(candidates).all() and np.isfinite(values).all()):
            raise StateError('the plan has values that are not finite; the state is too far from '
                             'all that the model was trained on')
        return Plan(candidates, values, clamped, robot.action_dim)

    def _fixed(self, state: NDArray, condition: Condition | None) -> tuple[NDArray, NDArray]:
        """Return what is known, normalised, and where, both (H, D)."""
        bundle = self.bundle
        shape = (bundle.horizon, bundle.row_dim)
        known, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
        if condition is not None:
            for name in ('known', 'mask'):
                found = getattr(condition, name).shape
                if found != shape:
                    raise ConfigError(f"condition's {name} has shape {found}, expected {shape}")
            if not np.isfinite(condition.known[condition.mask]).all():
                raise ConfigError("condition's known has values that are not finite under its "
                                  'mask, expected none')
            mask |= condition.mask
            known[mask] = bundle.normalizer.normalize(condition.known)[mask]
        n_action = bundle.robot.action_dim
        with np.errstate(over='ignore'):  # a plan that is not finite is refused at its end
            known[0, n_action:] = bundle.normalizer.normalize_state(state)
        mask[0, n_action:] = True
        return known, mask

    def _forecast(self, x_0: NDArray, mask: NDArray) -> NDArray:
        """
        Return trajectories (N, H, D) with the states that their actions lead to.

        A state that is fixed stays as it is.
        """
        robot, normalizer = self.bundle.robot, self.bundle.normalizer
        bound = self.config.clip_denoised
        n_action, rows = robot.action_dim, x_0.copy()
        limits = [((limit - normalizer.mean[:n_action]) / normalizer.std[:n_action]).astype(
            np.float32) for limit in (-robot.torque_limit, robot.torque_limit)]
        np.clip(rows[:, :, :n_action], *limits, out=rows[:, :, :n_action])
        for k in range(self.bundle.horizon - 1):
            states = np.clip(self.bundle.next_state(rows[:, k]), -bound, bound)
            rows[:, k + 1, n_action:] = np.where(mask[k + 1, n_action:],
                                                 rows[:, k + 1, n_action:], states)
        return rows

    def denoise(self, known: NDArray, mask: NDArray, *, seed: int | Sequence[int],
                on_step: Callable[[int, NDArray], None] | None = None) -> NDArray:
        """
        Denoise candidates from noise, the known part put back after every step.

        :param known: normalised values, shape (H, D); ``mask`` says where they hold.
        :param seed: of the noise.
        :param on_step: called with diffusion time t and x_t, shape (N, H, D), before every step
            and at the end; here t counts as in Ho et al. (2020), from T of pure noise to 0.
        :return: normalised trajectories, shape (N, H, D).
        """
        config = self.config
        rng = np.random.default_rng(seed)
        shape = (config.n_candidates, *known.shape)
        x_t = rng.standard_normal(shape, dtype=np.float32)
        x_t = np.where(mask, known, x_t)
        n_guided = len(self._times) - config.n_unguided_steps
        for i, t in enumerate(self._times):
            if on_step is not None:
                on_step(t + 1, x_t)
            is_last = i + 1 == len(self._times)
            alpha_bar_s = 1.0 if is_last else self._alpha_bar[self._times[i + 1]]
            if config.guidance_scale > 0 and i < n_guided:
                gradient = self.bundle.value_gradient(x_t, t)
                scale = config.guidance_scale * self._posterior_variance[t]
                x_t = np.where(mask, known, x_t + scale * gradient)
            x_0 = self.bundle.denoise(x_t, t)
            x_0 = np.clip(x_0, -config.clip_denoised, config.clip_denoised)
            if config.sampler == 'ddim':
                x_t = ddim_step(x_t, x_0, self._alpha_bar[t], alpha_bar_s)
            else:
                noise = rng.standard_normal(shape, dtype=np.float32)
                x_t = ddpm_step(x_t, x_0, self._alpha_bar[t], alpha_bar_s, noise)
            x_t = np.where(mask, known, x_t)
        if on_step is not None:
            on_step(0, x_t)
        return x_t
