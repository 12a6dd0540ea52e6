"""The model bundle: a folder with all that a planner needs, checked when it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort
import yaml

from ..errors import ModelError, RobotError
from ..normalizer import Normalizer
from ..robot import Robot
from ..schedule import NoiseSchedule
from .providers import choose_provider, open_session

FORMAT_VERSION = '1.0'  # major: inputs or outputs changed, refuse; minor: accept
FACTS_FILE = 'model.yaml'
DENOISER_FILE = 'denoiser.onnx'
VALUE_FILE = 'value.onnx'
UNHASHED = ('sha256', 'score')
N_WARMUP = 3
# Ranking needs no gradient, so its part of the graph is not computed.
VALUE_ALONE = onnxruntime.RunOptions()
VALUE_ALONE.only_execute_path_to_fetches = True
ORT_ERRORS = (ort.Fail, ort.InvalidArgument, ort.InvalidGraph, ort.InvalidProtobuf,
              ort.NotImplemented, ort.RuntimeException)


def facts_hash(facts: Mapping[str, Any]) -> str:
    """SHA-256 of all facts but the hashes themselves and the score, which is measured later."""
    hashed = {k: v for k, v in facts.items() if k not in UNHASHED}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``model.yaml`` with the hashes of all files in ``folder`` and of itself."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
              for name in (DENOISER_FILE, VALUE_FILE)}
    facts = {**facts, 'sha256': {**hashes, FACTS_FILE: facts_hash(facts)}}
    (folder / FACTS_FILE).write_text(yaml.safe_dump(facts, sort_keys=False, width=99))


def write_score(folder: Path, score: dict[str, Any]) -> None:
    """
    Record a measured score in ``model.yaml``; it is not part of the hashes.

    :raises ModelError: if the bundle's facts are not usable.
    """
    facts = {**read_facts(folder), 'score': score}
    (folder / FACTS_FILE).write_text(yaml.safe_dump(facts, sort_keys=False, width=99))


def read_facts(folder: Path) -> dict[str, Any]:
    """
    Read and verify ``model.yaml``.

    :raises ModelError: if it is missing, damaged or of another format version.
    """
    file = folder / FACTS_FILE
    if not file.is_file():
        raise ModelError(f'{file}: no such file; expected the folder of a model bundle')
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
    schedule: NoiseSchedule
    normalizer: Normalizer
    value_normalizer: Normalizer
    provider: str
    """The execution provider in use."""
    _denoiser: onnxruntime.InferenceSession
    _value: onnxruntime.InferenceSession

    @property
    def hash(self) -> str:
        """SHA-256 that identifies the bundle: of its facts and, through them, its files."""
        return hashlib.sha256(json.dumps(self.facts['sha256'], sort_keys=True).encode()
                              ).hexdigest()

    @property
    def row_dim(self) -> int:
        """Length of a row ``[a | s]``, D."""
        return self.robot.action_dim + self.robot.state_dim

    def denoise(self, x_t: NDArray, t: int) -> NDArray:
        """Predict x_0 (B, H, D) from x_t (B, H, D), both normalised."""
        times = np.full(len(x_t), t, dtype=np.int64)
        return self._denoiser.run(None, {'x_t': x_t, 'times': times})[0]

    def value(self, x_t: NDArray, t: int) -> NDArray:
        """Return the normalised values (B,) of x_t (B, H, D)."""
        times = np.full(len(x_t), t, dtype=np.int64)
        return self._value.run(['value'], {'x_t': x_t, 'times': times}, VALUE_ALONE)[0]

    def value_gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return the gradient (B, H, D) of the normalised value with respect to x_t."""
        times = np.full(len(x_t), t, dtype=np.int64)
        return self._value.run(['gradient'], {'x_t': x_t, 'times': times})[0]

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
        for name in (DENOISER_FILE, VALUE_FILE):
            content = _read_verified(path / name, facts['sha256'].get(name, 'none'))
            try:
                sessions[name] = open_session(content, chosen, n_threads)
            except ORT_ERRORS as error:
                raise ModelError(f'{path / name}: not a network that onnxruntime can load '
                                 f'({error})') from error
        try:
            robot = Robot.from_dict(facts['robot'], str(path / FACTS_FILE))
            bundle = cls(
                path=path, facts=facts, robot=robot, horizon=int(facts['horizon']),
                schedule=NoiseSchedule(**facts['schedule']),
                normalizer=_normalizer(facts['normalizer']),
                value_normalizer=_normalizer(facts['value_normalizer']),
                provider=chosen, _denoiser=sessions[DENOISER_FILE], _value=sessions[VALUE_FILE])
        except (KeyError, TypeError, ValueError, RobotError) as error:
            raise ModelError(f'{path / FACTS_FILE}: {error}') from error
        bundle._probe()
        return bundle

    def _probe(self) -> None:
        """Run the networks: shapes fit, outputs are finite, the costs of a first run are paid."""
        if self.normalizer.mean.shape != (self.row_dim,):
            raise ModelError(f'{self.path / FACTS_FILE}: normalizer has '
                             f'{self.normalizer.mean.shape} entries, expected ({self.row_dim},) '
                             f"for robot '{self.robot.name}'")
        for name, session in ((DENOISER_FILE, self._denoiser), (VALUE_FILE, self._value)):
            found = session.get_inputs()[0].shape[1:]
            if found != [self.horizon, self.row_dim]:
                raise ModelError(f"{self.path / name}: input 'x_t' has rows of shape {found}, "
                                 f'expected {[self.horizon, self.row_dim]}')
        probe = np.zeros((2, self.horizon, self.row_dim), dtype=np.float32)
        for _ in range(N_WARMUP):
            outputs = {DENOISER_FILE: (self.denoise(probe, 0),),
                       VALUE_FILE: (self.value(probe, 0), self.value_gradient(probe, 0))}
        for name, arrays in outputs.items():
            if not all(np.isfinite(a).all() for a in arrays):
                raise ModelError(f'{self.path / name}: output on a probe of zeros is not finite')


def _normalizer(facts: Mapping[str, list[float]]) -> Normalizer:
    return Normalizer(np.array(facts['mean'], dtype=np.float64),
                      np.array(facts['std'], dtype=np.float64))
