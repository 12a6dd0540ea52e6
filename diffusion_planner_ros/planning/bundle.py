# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The model bundle: a folder with all that a planner needs, checked when it is loaded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort
import yaml

from ..errors import ConfigError, ModelError, RobotError, StateError
from ..files import written
from ..normalizer import Normalizer
from ..robot import Robot
from ..schedule import CLEAN, MAX_AMPLIFICATION, NoiseSchedule
from .calibration import Calibration, read_calibrations
from .providers import choose_provider, open_session

FORMAT_VERSION = '5.1'  # major: inputs or outputs changed, refuse; minor: accept
FACTS_FILE = 'model.yaml'
DENOISER_FILE = 'denoiser.onnx'
VALUE_FILE = 'value.onnx'
DYNAMICS_FILE = 'dynamics.onnx'
PLAN_FILE = 'plan.onnx'
INVERSE_FILE = 'inverse.onnx'
NETWORK_FILES = (DENOISER_FILE, VALUE_FILE, DYNAMICS_FILE, PLAN_FILE, INVERSE_FILE)
OPTIONAL_FILES = (DYNAMICS_FILE, PLAN_FILE, INVERSE_FILE)  # a bundle may be without
WINDOWS = ('joint', 'states', 'actions')
PLAN_INPUTS = ('draws', 'known', 'mask', 'times', 'steps', 'n_guided', 'bound', 'low', 'high')
UNHASHED = ('sha256', 'score')
N_WARMUP = 3
LONGEST_NAME = 100  # characters of a folder that an error shows
# Ranking needs no gradient, so its part of the graph is not computed.
VALUE_ALONE = onnxruntime.RunOptions()
VALUE_ALONE.only_execute_path_to_fetches = True
ORT_ERRORS = (ort.Fail, ort.InvalidArgument, ort.InvalidGraph, ort.InvalidProtobuf,
              ort.NotImplemented, ort.RuntimeException)


def facts_hash(facts: Mapping[str, Any]) -> str:
    """SHA-256 of all facts but the hashes themselves and the score, which is measured later."""
    hashed = {k: v for k, v in facts.items() if k not in UNHASHED}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def bundle_hash(facts: Mapping[str, Any]) -> str:
    """SHA-256 that identifies a bundle: of its facts and, through them, its files."""
    return hashlib.sha256(json.dumps(facts['sha256'], sort_keys=True).encode()).hexdigest()


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``model.yaml`` with the hashes of all files in ``folder`` and of itself."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
              for name in NETWORK_FILES if name not in OPTIONAL_FILES or (folder / name).is_file()}
    facts = {**facts, 'sha256': {**hashes, FACTS_FILE: facts_hash(facts)}}
    _write(folder / FACTS_FILE, facts)


def write_score(folder: Path, score: dict[str, Any]) -> None:
    """
    Record a measured score in ``model.yaml``; it is not part of the hashes.

    :raises ModelError: if the bundle's facts are not usable.
    :raises OutputError: if they cannot be written; they are as before then.
    """
    _write(folder / FACTS_FILE, {**read_facts(folder), 'score': score})


def write_calibration(folder: Path, calibration: Mapping[str, Any]) -> None:
    """
    Replace the calibration in ``model.yaml``, and with it the bundle's hash.

    The measured score stays: the calibration has no part in it.

    :param calibration: facts that ``read_calibrations`` reads.
    :raises ModelError: if the bundle's facts are not usable.
    :raises OutputError: if they cannot be written; they are as before then.
    """
    facts = {**read_facts(folder), **calibration}
    score = facts.pop('score', None)
    write_facts(folder, facts if score is None else {**facts, 'score': score})


def _write(file: Path, facts: Mapping[str, Any]) -> None:
    with written(file) as scratch:
        scratch.write_text(yaml.safe_dump(dict(facts), sort_keys=False, width=99))


def facts_file(folder: Path) -> Path:
    """
    Return the file that says what a bundle is.

    :raises ModelError: if it is missing.
    """
    file = folder / FACTS_FILE
    try:
        is_there = file.is_file()
    except OSError as error:  # a name too long for a file system
        raise ModelError(f'{str(folder)[:LONGEST_NAME]}...: {error.strerror}; expected the folder '
                         'of a model bundle') from error
    if not is_there:
        raise ModelError(f'{file}: no such file; expected the folder of a model bundle')
    return file


def read_facts(folder: Path) -> dict[str, Any]:
    """
    Read and verify ``model.yaml``.

    :raises ModelError: if it is missing, damaged or of another format version.
    """
    file = facts_file(folder)
    try:
        facts = yaml.safe_load(file.read_text())
        version = str(facts['format_version'])
        expected = facts['sha256'][FACTS_FILE]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ModelError(f'{file}: not the facts of a model bundle ({error})') from error
    if version.split('.')[0] != FORMAT_VERSION.split('.')[0]:
        raise ModelError(f'{file}: format version is {version}, expected '
                         f'{FORMAT_VERSION.split(".")[0]}.x; export the model again')
    found = facts_hash(facts)
    if found != expected:
        raise ModelError(f'{file}: SHA-256 of the facts is {found}, expected {expected}; the file '
                         'was changed after the export')
    return facts


def read_preset(folder: Path) -> str:
    """
    Return the name of the preset that a bundle is planned with by default; '' where it has none.

    :raises ModelError: if the bundle's facts are not usable.
    """
    return read_facts(folder).get('preset', '')


def _read_verified(file: Path, expected: str) -> bytes:
    if not file.is_file():
        raise ModelError(f'{file}: no such file, expected it beside {FACTS_FILE}')
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(f'{file}: SHA-256 is {found}, expected {expected}; the file is damaged '
                         'or from another model')
    return content


@dataclass(frozen=True)
class Bundle:
    """A loaded, verified and warm model."""

    path: Path
    facts: Mapping[str, Any]
    robot: Robot
    horizon: int
    window: str
    """What the denoiser plans: ``joint``, ``states`` or ``actions``, see ``TrainConfig``."""
    schedule: NoiseSchedule
    normalizer: Normalizer
    value_normalizer: Normalizer
    value_clean_time: int
    """Diffusion time at which the value knows trajectories without noise: ``CLEAN``, or 0, the
    least noise, in a model that was not trained with them."""
    reward_scale: float
    """Root mean square of the rewards in the training data."""
    provider: str
    """The execution provider in use."""
    calibrations: Mapping[str, Calibration]
    """By the setting ``states``; none if the model was exported without data."""
    _denoiser: onnxruntime.InferenceSession
    _value: onnxruntime.InferenceSession
    _dynamics: onnxruntime.InferenceSession | None
    _plan: onnxruntime.InferenceSession | None
    _inverse: onnxruntime.InferenceSession | None

    @cached_property
    def hash(self) -> str:
        """SHA-256 that identifies the bundle: of its facts and, through them, its files."""
        return bundle_hash(self.facts)

    @property
    def row_dim(self) -> int:
        """Length of a row ``[a | s]``, D."""
        return self.robot.action_dim + self.robot.state_dim

    @property
    def has_dynamics(self) -> bool:
        """Whether there is a dynamics model."""
        return self._dynamics is not None

    @property
    def has_plan(self) -> bool:
        """Whether there is a graph of whole plans."""
        return self._plan is not None

    @cached_property
    def plans_several(self) -> bool:
        """Whether that graph plans from several states at once; before format 5.1 it did not."""
        if self._plan is None:
            return False
        return len(self._plan.get_inputs()[PLAN_INPUTS.index('known')].shape) > 2

    @property
    def largest_entry(self) -> float:
        """
        Largest magnitude of a normalised entry in the training data.

        1 where they were scaled by their limits; infinite where no limit is known.
        """
        is_limited = self.facts.get('training', {}).get('scaling') == 'limits'
        return 1.0 if is_limited else float('inf')

    @cached_property
    def takes_speed(self) -> bool:
        """Whether what it can be told is not a return, but a commanded speed [m/s]."""
        return self.takes_return and self.facts.get('training', {}).get('told') == 'speed'

    @property
    def takes_return(self) -> bool:
        """Whether the denoiser can be told the return that is wanted."""
        return any(end.name == 'wanted' for end in self._denoiser.get_inputs())

    @cached_property
    def row_limits(self) -> tuple[NDArray, NDArray]:
        """
        The smallest and the largest row, normalised, both float32 (D,).

        Torques have limits, states have none.
        """
        limit = np.concatenate([self.robot.torque_limit, np.full(self.robot.state_dim, np.inf)])
        low, high = (self.normalizer.normalize(row).astype(np.float32) for row in (-limit, limit))
        return low, high

    def without_plan(self) -> 'Bundle':
        """Return the same bundle without its graph of whole plans."""
        return replace(self, _plan=None)

    def denoise(self, x_t: NDArray, t: int, known: NDArray, *, wanted: float | None = None,
                weight: float = 1.0) -> NDArray:
        """
        Predict x_0 (B, H, D) from x_t (B, H, D), both normalised.

        :param known: true where x_t is known and has no noise, of a shape that fits x_t.
        :param wanted: normalised return that the trajectories shall have; None for none. Only for
            a denoiser that ``takes_return``.
        :param weight: how much that counts, see ``PlannerConfig.return_weight``.
        """
        times = np.full(len(x_t), t, dtype=np.int64)
        inputs = {'x_t': x_t, 'times': times, 'known': np.broadcast_to(known, x_t.shape)}
        if self.takes_return:
            told = (0.0, 0.0) if wanted is None else (wanted, weight)
            inputs.update((name, np.full(len(x_t), number, dtype=np.float32))
                          for name, number in zip(('wanted', 'weight'), told, strict=True))
        return self._denoiser.run(None, inputs)[0]

    def value(self, x_t: NDArray, t: int) -> NDArray:
        """Return the normalised values (B,) of x_t (B, H, D)."""
        times = np.full(len(x_t), t, dtype=np.int64)
        return self._value.run(['value'], {'x_t': x_t, 'times': times}, VALUE_ALONE)[0]

    def clean_value(self, x_0: NDArray) -> NDArray:
        """Return the normalised values (B,) of trajectories without noise (B, H, D)."""
        return self.value(x_0, self.value_clean_time)

    def value_gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return the gradient (B, H, D) of the normalised value with respect to x_t."""
        times = np.full(len(x_t), t, dtype=np.int64)
        return self._value.run(['gradient'], {'x_t': x_t, 'times': times})[0]

    def next_state(self, row: NDArray) -> NDArray:
        """
        Predict the next states (B, S) from rows ``[a | s]`` (B, D), both normalised.

        :raises ModelError: if there is no dynamics model.
        """
        if self._dynamics is None:
            raise ModelError(f'{self.path / DYNAMICS_FILE}: no such file in this bundle, expected '
                             'one to forecast with; train and export the model again')
        return self._dynamics.run(None, {'row': row})[0]

    def action_between(self, state: NDArray, next_state: NDArray) -> NDArray:
        """
        Return the actions (B, A) that lead from states to next ones (B, S), all normalised.

        :raises ModelError: if there are no inverse dynamics.
        """
        if self._inverse is None:
            raise ModelError(f'{self.path / INVERSE_FILE}: no such file in this bundle, expected '
                             'one to act with; train and export the model again')
        return self._inverse.run(None, {'state': state, 'next_state': next_state})[0]

    def plan(self, inputs: Mapping[str, NDArray]) -> tuple[NDArray, NDArray]:
        """
        Denoise trajectories in one go.

        :param inputs: ``PLAN_INPUTS``, see ``CompiledPlan``; what is known is of shape (1, H, D)
            or, where it ``plans_several``, (B, H, D).
        :return: normalised trajectories (B, H, D), and the normalised values (B,) that they have
            within the torque limits.
        :raises ModelError: if there is no graph of whole plans.
        """
        if self._plan is None:
            raise ModelError(f'{self.path / PLAN_FILE}: no such file in this bundle, expected one '
                             'to plan with; export the model again')
        if not self.plans_several:
            inputs = {**inputs, **{name: inputs[name][0] for name in ('known', 'mask')}}
        return tuple(self._plan.run(None, inputs))

    def check_state(self, state: NDArray) -> NDArray:
        """
        Return a state in double precision, shape (S,).

        :raises StateError: if it has another shape or is not finite.
        """
        robot, state = self.robot, np.asarray(state, dtype=np.float64)
        if state.shape != (robot.state_dim,):
            raise StateError(f'state has shape {state.shape}, expected ({robot.state_dim},)')
        if not np.isfinite(state).all():
            entry, number = next((e, x) for e, x in zip(robot.state, state, strict=True)
                                 if not np.isfinite(x))
            raise StateError(f"{entry.quantity} of joint '{entry.joint}' is {number}, "
                             f'expected a finite number [{entry.unit}]')
        return state

    def forecast(self, state: NDArray, actions: NDArray) -> NDArray:
        """
        Forecast where actions lead, with the dynamics model.

        :param state: in the order and units of ``robot.state``, shape (S,).
        :param actions: torques [N m], one per control period, shape (n, A).
        :return: the state after each action [SI], clipped as the robot's are, shape (n, S).
        :raises ModelError: if there is no dynamics model.
        :raises ConfigError: if the actions have another shape.
        :raises StateError: if the state has another shape, or a forecast is not finite.
        """
        n_action, clip = self.robot.action_dim, self.robot.state_clip
        state, actions = self.check_state(state), np.asarray(actions, dtype=np.float64)
        if actions.ndim != 2 or actions.shape[1] != n_action:
            raise ConfigError(f'actions have shape {actions.shape}, expected (n, {n_action})')
        mean, std = self.normalizer.mean[n_action:], self.normalizer.std[n_action:]
        states = np.empty((len(actions), self.robot.state_dim))
        for i, action in enumerate(actions):
            with np.errstate(over='ignore'):  # what is not finite is refused below
                row = self.normalizer.normalize(
                    np.concatenate([action, np.clip(state, -clip, clip)])).astype(np.float32)
            state = self.next_state(row[None])[0] * std + mean
            if not np.isfinite(state).all():
                raise StateError(f'the state forecast {i + 1} control periods ahead is not '
                                 'finite; state or actions are too far from all that the model '
                                 'was trained on')
            states[i] = state
        return np.clip(states, -clip, clip)

    @classmethod
    def load(cls, path: Path, *, provider: str = 'cpu', n_threads: int = 1) -> 'Bundle':
        """
        Load a bundle, verify it, probe it and warm it up.

        :param path: folder of the bundle.
        :param provider: 'cpu', 'cuda', 'tensorrt' or 'auto'.
        :param n_threads: threads of onnxruntime on the CPU.
        :raises ModelError: naming the file, the value found and the value expected.
        :raises ProviderError: if the provider is not available.
        """
        chosen = choose_provider(provider)
        facts = read_facts(path)
        sessions = {}
        for name, expected in {DENOISER_FILE: 'none', VALUE_FILE: 'none',
                               **facts['sha256']}.items():
            if name == FACTS_FILE:
                continue
            content = _read_verified(path / name, expected)
            if name not in NETWORK_FILES:  # of a later format
                continue
            if name == PLAN_FILE and chosen == 'tensorrt':  # its loops were never run there
                continue
            try:
                sessions[name] = open_session(content, chosen, n_threads)
            except ORT_ERRORS as error:
                raise ModelError(f'{path / name}: not a network that onnxruntime can load '
                                 f'({error})') from error
        try:
            robot = Robot.from_dict(facts['robot'], str(path / FACTS_FILE))
            bundle = cls(
                path=path, facts=facts, robot=robot, horizon=int(facts['horizon']),
                window=_window(facts, sessions),
                schedule=_schedule(facts),
                normalizer=_normalizer(facts['normalizer']),
                value_normalizer=_normalizer(facts['value_normalizer']),
                value_clean_time=int(facts.get('value_clean_time', 0)),
                reward_scale=float(facts['reward_scale']),
                provider=chosen, calibrations=read_calibrations(facts, robot.state_dim),
                _denoiser=sessions[DENOISER_FILE], _value=sessions[VALUE_FILE],
                _dynamics=sessions.get(DYNAMICS_FILE), _plan=sessions.get(PLAN_FILE),
                _inverse=sessions.get(INVERSE_FILE))
        except KeyError as error:
            raise ModelError(f'{path / FACTS_FILE}: key {error} is missing; export the model '
                             'again') from error
        except (TypeError, ValueError, ConfigError, RobotError) as error:
            raise ModelError(f'{path / FACTS_FILE}: {error}') from error
        bundle._probe()
        return bundle

    def _probe(self) -> None:
        """Run the networks: shapes fit, outputs are finite, the costs of a first run are paid."""
        if self.normalizer.mean.shape != (self.row_dim,):
            raise ModelError(f'{self.path / FACTS_FILE}: normalizer has '
                             f'{self.normalizer.mean.shape} entries, expected ({self.row_dim},) '
                             f"for robot '{self.robot.name}'")
        window, row = [self.horizon, self.row_dim], [self.row_dim]
        shapes = [(DENOISER_FILE, self._denoiser.get_inputs()[0], window),
                  (VALUE_FILE, self._value.get_inputs()[0], window)]
        if self._dynamics is not None:
            shapes += [(DYNAMICS_FILE, self._dynamics.get_inputs()[0], row),
                       (DYNAMICS_FILE, self._dynamics.get_outputs()[0], [self.robot.state_dim])]
        if self._inverse is not None:
            shapes += [(INVERSE_FILE, self._inverse.get_inputs()[0], [self.robot.state_dim]),
                       (INVERSE_FILE, self._inverse.get_outputs()[0], [self.robot.action_dim])]
        if self._plan is not None:
            inputs = self._plan.get_inputs()
            found = tuple(end.name for end in inputs)
            if found != PLAN_INPUTS:
                raise ModelError(f'{self.path / PLAN_FILE}: inputs are {", ".join(found)}, '
                                 f'expected {", ".join(PLAN_INPUTS)}')
            shapes.append((PLAN_FILE, inputs[0], [inputs[0].shape[1], *window]))
        for name, end, expected in shapes:
            if end.shape[1:] != expected:
                raise ModelError(f"{self.path / name}: '{end.name}' has rows of shape "
                                 f'{end.shape[1:]}, expected {expected}')
        probe = np.zeros((2, self.horizon, self.row_dim), dtype=np.float32)
        for _ in range(N_WARMUP):
            outputs = {DENOISER_FILE: (self.denoise(probe, 0, probe[0] > 0),),
                       VALUE_FILE: (self.value(probe, 0), self.value_gradient(probe, 0))}
            if self.has_dynamics:
                outputs[DYNAMICS_FILE] = (self.next_state(probe[:, 0]),)
            if self._inverse is not None:
                state = probe[:, 0, self.robot.action_dim:]
                outputs[INVERSE_FILE] = (self.action_between(state, state),)
            if self._plan is not None:
                outputs[PLAN_FILE] = self.plan(self._probe_of_plans(probe))
        for name, arrays in outputs.items():
            if not all(np.isfinite(a).all() for a in arrays):
                raise ModelError(f'{self.path / name}: output on a probe of zeros is not finite')

    @staticmethod
    def _probe_of_plans(probe: NDArray) -> dict[str, NDArray]:
        """Return inputs of a plan of one guided step and one without guidance."""
        row = probe[0, 0]
        return {'draws': probe[None], 'known': probe[:1], 'mask': probe[:1] > 0,
                'times': np.array([[1], [0], [CLEAN]]), 'steps': np.ones((2, 5), dtype=np.float32),
                'n_guided': np.array(1), 'bound': np.array(1, dtype=np.float32),
                'low': row - 1, 'high': row + 1}


def _window(facts: Mapping[str, Any], files: Collection[str]) -> str:
    """Return what the denoiser plans; raise ``ValueError`` where a network for that is missing."""
    window = facts['window']
    if window not in WINDOWS:
        raise ValueError(f"window is '{window}', expected one of {', '.join(WINDOWS)}")
    needed = {'states': INVERSE_FILE, 'actions': DYNAMICS_FILE}.get(window)
    if needed is not None and needed not in files:
        raise ValueError(f"window is '{window}', which needs {needed}, found none in the bundle")
    return window


def _schedule(facts: Mapping[str, Any]) -> NoiseSchedule:
    """Return the noise schedule, in which a model that predicts eps cannot sample all times."""
    if facts.get('training', {}).get('prediction') == 'eps':
        return NoiseSchedule(**facts['schedule'], max_amplification=MAX_AMPLIFICATION)
    return NoiseSchedule(**facts['schedule'])


def _normalizer(facts: Mapping[str, list[float]]) -> Normalizer:
    return Normalizer(np.array(facts['mean'], dtype=np.float64),
                      np.array(facts['std'], dtype=np.float64))
