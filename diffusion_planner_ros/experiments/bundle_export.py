# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a model bundle, checked against torch and calibrated on data."""

from collections.abc import Sequence
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..data.windows import Windows
from ..episode import Episode
from ..errors import ModelError
from ..learning.onnx_export import export_networks, TrainedModel
from ..learning.random_conditions import first_states
from ..planning.bundle import Bundle, FORMAT_VERSION, NETWORK_FILES, write_facts
from ..planning.planner_config import PlannerConfig
from ..schedule import CLEAN
from .monitor_calibration import calibrate, summary

MAX_DIFFERENCE = 1e-4
OUTPUTS = ('x_0', 'value', 'gradient', 'dynamics', 'inverse_dynamics', 'plan')


def export_model(model: TrainedModel, out: Path, episodes: Sequence[Episode], *, source: Path,
                 preset: str = '', planner: PlannerConfig | None = None) -> dict[str, Any]:
    """
    Write a bundle, checked against torch and calibrated on ``episodes`` if there are any.

    :param out: folder of the bundle; a bundle that is there is replaced.
    :param source: checkpoint, for errors.
    :param preset: with whose settings the bundle is planned by default; none if empty.
    :param planner: to calibrate with; as by default if there is none.
    :return: what to report.
    :raises ModelError: if onnxruntime and torch disagree; nothing is written then.
    """
    if out.exists() and not out.is_dir():
        raise ModelError(f'{out}: is a file, expected the folder of a bundle or a new name')
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch)
        export_networks(model, *(folder / name for name in NETWORK_FILES))
        facts = {'format_version': FORMAT_VERSION, **({'preset': preset} if preset else {}),
                 **model.facts}
        write_facts(folder, facts)
        bundle = Bundle.load(folder)
        differences = compare(model, bundle)
        for name, difference in differences.items():
            if not difference <= MAX_DIFFERENCE:
                raise ModelError(f'{source}: {name} of onnxruntime and torch differ by '
                                 f'{difference:.2e}, expected at most {MAX_DIFFERENCE:.0e}; '
                                 f'nothing was written to {out}')
        prediction: str | dict[str, Any] = 'not measured: no --data; the monitor will be off'
        if episodes:
            calibration = calibrate(bundle, transitions(episodes, model), planner)
            write_facts(folder, {**facts, **calibration})
            Bundle.load(folder)
            prediction = summary(calibration)
        out.mkdir(exist_ok=True)
        files = [file.name for file in folder.iterdir()]
        for name in NETWORK_FILES:  # of another model, perhaps
            (out / name).unlink(missing_ok=True)
        for name in files:
            (folder / name).replace(out / name)
    size = sum((out / name).stat().st_size for name in files)
    return {'bundle': str(out), 'size_mb': size / 1e6, 'max_difference': differences,
            'prediction_error': prediction}


def transitions(episodes: Sequence[Episode], model: TrainedModel) -> Windows:
    """Cut windows of a state and the next one, all that a calibration takes."""
    config = model.config
    return Windows.cut(list(episodes), model.robot, 2, discount=config.discount,
                       fall_penalty=config.fall_penalty)


def compare(model: TrainedModel, bundle: Bundle, *, batch_sizes: tuple[int, ...] = (1, 16)
            ) -> dict[str, float]:
    """
    Return the largest difference between torch and onnxruntime per output, on random inputs.

    Of the graph of whole plans, single steps at all diffusion times are compared.
    Relative to the largest entry where that is above 1: an x_0 that is computed from a predicted
    eps at high noise is hundreds of standard deviations large.
    """
    largest = dict.fromkeys(OUTPUTS, 0.0)
    told, n_action = model.config.return_share > 0, model.robot.action_dim
    for t in sorted({bundle.value_clean_time, *range(bundle.schedule.n_steps)}):
        x_t, _ = model.example(batch_sizes[t % len(batch_sizes)], seed=t % 2**31)
        times, rows = x_t.new_full((len(x_t),), t).long(), x_t[:, 0]
        first = first_states(x_t, n_action)
        wanted = (torch.ones(len(x_t)), torch.full((len(x_t),), 1.5)) if told else ()
        x_0, free = (model.denoiser(x_t, times, known, *wanted)
                     for known in (first, torch.zeros_like(first)))
        value, gradient = model.value_and_gradient(x_t, times)
        pairs = [('dynamics', bundle.next_state(rows.numpy()), model.dynamics_model(rows)),
                 ('value', bundle.value(x_t.numpy(), t), value),
                 ('gradient', bundle.value_gradient(x_t.numpy(), t), gradient)]
        if model.inverse_dynamics is not None:
            states = x_t[:, 0, n_action:], x_t[:, 1, n_action:]
            pairs.append(('inverse_dynamics', bundle.action_between(*(s.numpy() for s in states)),
                          model.inverse_dynamics(*states)))
        if t != CLEAN:  # nothing is denoised from there
            pairs.append(('x_0', bundle.denoise(x_t.numpy(), t, first[0].numpy(),
                                                wanted=1.0 if told else None, weight=1.5), x_0))
        if bundle.has_plan:
            pairs += ([('plan', _plan(bundle, x_t, [t])[1], value)] if t == CLEAN else [
                ('plan', _plan(bundle, x_t, [t, t], [1, 0, 0, 0, 0])[0], free),
                ('plan', _plan(bundle, x_t, [t, t], [0, 1, 0, 0, 1])[0], x_t + gradient)])
        for name, found, expected in pairs:
            scale = max(1.0, float(expected.abs().max()))
            difference = float(np.abs(found - expected.numpy()).max()) / scale
            largest[name] = max(largest[name], difference)
    absent = {'inverse_dynamics': model.inverse_dynamics is None, 'plan': not bundle.has_plan}
    return {name: found for name, found in largest.items() if not absent.get(name)}


def _plan(bundle: Bundle, x_t: Tensor, times: list[int], *steps: list[float]
          ) -> tuple[NDArray, NDArray]:
    """
    Return x_s (B, H, D) and its value (B,), from the graph of whole plans.

    :param times: diffusion time of x_t, and after each step.
    :param steps: factors of x_0, x_t, noise before and after the push, and gradient.
    """
    draws = x_t.numpy()[None]
    row = np.full(draws.shape[-1], np.inf, dtype=np.float32)
    return bundle.plan({
        'draws': draws, 'known': draws[0, :1],
        'mask': np.zeros((1, *draws.shape[2:]), dtype=bool),
        'times': np.array(times, dtype=np.int64)[:, None],
        'steps': np.array(steps, dtype=np.float32).reshape(len(steps), 5),
        'n_guided': np.array(sum(factors[-1] != 0 for factors in steps)),
        'bound': np.array(np.inf, dtype=np.float32), 'low': -row, 'high': row})
