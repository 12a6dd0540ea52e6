"""From a checkpoint to a model bundle, checked against torch and calibrated on data."""

from collections.abc import Sequence
from pathlib import Path
import tempfile
from typing import Any

import numpy as np

from ..data.windows import Windows
from ..episode import Episode
from ..errors import ModelError
from ..learning.onnx_export import export_networks, TrainedModel
from ..planning.bundle import Bundle, FACTS_FILE, FORMAT_VERSION, NETWORK_FILES, write_facts
from ..schedule import CLEAN
from .monitor_calibration import calibrate, summary

MAX_DIFFERENCE = 1e-4


def export_model(model: TrainedModel, out: Path, episodes: Sequence[Episode], *, source: Path
                 ) -> dict[str, Any]:
    """
    Write a bundle, checked against torch and calibrated on ``episodes`` if there are any.

    :param out: folder of the bundle; a bundle that is there is replaced.
    :param source: checkpoint, for errors.
    :return: what to report.
    :raises ModelError: if onnxruntime and torch disagree; nothing is written then.
    """
    if out.exists() and not out.is_dir():
        raise ModelError(f'{out}: is a file, expected the folder of a bundle or a new name')
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch)
        export_networks(model, *(folder / name for name in NETWORK_FILES))
        facts = {'format_version': FORMAT_VERSION, **model.facts}
        write_facts(folder, facts)
        bundle = Bundle.load(folder)
        differences = compare(model, bundle)
        for name, difference in differences.items():
            if not difference <= MAX_DIFFERENCE:
                raise ModelError(f'{source}: {name} of onnxruntime and torch differ by '
                                 f'{difference:.2e}, expected at most {MAX_DIFFERENCE:.0e}; '
                                 f'nothing was written to {out}')
        prediction = 'not measured: no --data; the monitor will be off'
        if episodes:
            calibration = calibrate(bundle, transitions(episodes, model))
            write_facts(folder, {**facts, **calibration})
            Bundle.load(folder)
            prediction = summary(calibration)
        out.mkdir(exist_ok=True)
        files = [*NETWORK_FILES, FACTS_FILE]
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

    Relative to the largest entry where that is above 1: an x_0 that is computed from a predicted
    eps at high noise is hundreds of standard deviations large.
    """
    largest = {'x_0': 0.0, 'value': 0.0, 'gradient': 0.0, 'dynamics': 0.0}
    for t in sorted({bundle.value_clean_time, *range(bundle.schedule.n_steps)}):
        x_t, _ = model.example(batch_sizes[t % len(batch_sizes)], seed=t % 2**31)
        times, rows = x_t.new_full((len(x_t),), t).long(), x_t[:, 0]
        expected = {'dynamics': model.dynamics_model(rows),
                    **dict(zip(('value', 'gradient'), model.value_and_gradient(x_t, times),
                               strict=True))}
        found = {'dynamics': bundle.next_state(rows.numpy()),
                 'value': bundle.value(x_t.numpy(), t),
                 'gradient': bundle.value_gradient(x_t.numpy(), t)}
        if t != CLEAN:  # nothing is denoised from there
            expected['x_0'], found['x_0'] = model.denoiser(x_t, times), bundle.denoise(
                x_t.numpy(), t)
        for name, reference in expected.items():
            scale = max(1.0, float(reference.abs().max()))
            difference = float(np.abs(found[name] - reference.numpy()).max()) / scale
            largest[name] = max(largest[name], difference)
    return largest
