"""``diffusion_planner export``: a checkpoint becomes a model bundle."""

from pathlib import Path
import tempfile
from typing import Any, TYPE_CHECKING

from ..output import report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...data.windows import Windows
    from ...episode import Episode
    from ...learning.onnx_export import TrainedModel
    from ...planning.bundle import Bundle

MAX_DIFFERENCE = 1e-4
N_CALIBRATION = 10_000


def export(
    checkpoint: Path = Path('runs/walker2d/checkpoint.pt'),
    out: Path = Path('models/walker2d'),
    data: tuple[Path, ...] | None = None,
    json: bool = False,
) -> None:
    """
    Export a checkpoint as a model bundle; refused if onnxruntime and torch disagree.

    :param checkpoint: file that ``train`` wrote.
    :param out: folder of the bundle; a bundle that is already there is replaced.
    :param data: the data sets of the training; with them the bundle says how well the model
        predicts, which the planner's monitor compares with. Without them the monitor is off.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...learning.onnx_export import TrainedModel

    model = TrainedModel.load(checkpoint)
    episodes = [e for path in data or ()
                for e in read_episodes(path, model.robot, needs_rewards=False)]
    report(export_model(model, out, episodes, source=checkpoint), as_json=json)


def export_model(model: 'TrainedModel', out: Path, episodes: 'Sequence[Episode]', *,
                 source: Path) -> dict[str, Any]:
    """
    Write a bundle, checked against torch and calibrated on ``episodes`` if there are any.

    :param source: checkpoint, for errors.
    :return: what to report.
    :raises ModelError: if onnxruntime and torch disagree; nothing is written then.
    """
    from ...data.windows import Windows
    from ...errors import ModelError
    from ...learning.onnx_export import export_networks
    from ...planning import bundle as bundles

    if out.exists() and not out.is_dir():
        raise ModelError(f'{out}: is a file, expected the folder of a bundle or a new name')
    config = model.config
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch)
        files = [bundles.DENOISER_FILE, bundles.VALUE_FILE, bundles.DYNAMICS_FILE]
        export_networks(model, *(folder / name for name in files))
        facts = {'format_version': bundles.FORMAT_VERSION, **model.facts}
        bundles.write_facts(folder, facts)
        bundle = bundles.Bundle.load(folder)
        differences = compare(model, bundle)
        for name, difference in differences.items():
            if not difference <= MAX_DIFFERENCE:
                raise ModelError(f'{source}: {name} of onnxruntime and torch differ by '
                                 f'{difference:.2e}, expected at most {MAX_DIFFERENCE:.0e}; '
                                 f'nothing was written to {out}')
        prediction = 'not measured: no --data; the monitor will be off'
        if episodes:
            # A state and the next one are all it takes.
            windows = Windows.cut(episodes, model.robot, 2, discount=config.discount,
                                  fall_penalty=config.fall_penalty)
            calibration = calibrate(bundle, windows)
            bundles.write_facts(folder, {**facts, **calibration})
            errors = bundles.Bundle.load(folder).calibration.errors
            prediction = {'p50': float(errors[50]), 'p99': float(errors[99]),
                          'max': float(errors[100])}
        out.mkdir(exist_ok=True)
        for name in [*files, bundles.FACTS_FILE]:
            (folder / name).replace(out / name)
    size = sum((out / name).stat().st_size for name in [*files, bundles.FACTS_FILE])
    return {'bundle': str(out), 'size_mb': size / 1e6, 'max_difference': differences,
            'prediction_error': prediction}


def calibrate(bundle: 'Bundle', windows: 'Windows', *, n_windows: int = N_CALIBRATION,
              seed: int = 0) -> dict[str, Any]:
    """
    Measure how well plans predict the next state of the data, and the range of its states.

    Plans start from the first state of random windows, with the recorded action inpainted.

    :return: facts for ``model.yaml``, which ``Calibration`` reads.
    """
    from dataclasses import asdict

    import numpy as np

    from ...planning.bundle import PERCENTILES
    from ...planning.delay_compensation import hold
    from ...planning.planner import Planner
    from ...planning.planner_config import PlannerConfig

    config = PlannerConfig()
    planner = Planner(bundle, config)
    n_action = bundle.robot.action_dim
    rng = np.random.default_rng(seed)
    starts = rng.permutation(windows.starts)[:n_windows]
    errors = []
    for step, start in enumerate(starts):
        row, following = windows.rows[start:start + 2]
        condition = hold(row[None, :n_action], horizon=bundle.horizon, row_dim=bundle.row_dim)
        plan = planner.plan(row[n_action:], step=step, condition=condition)
        clip = bundle.robot.state_clip
        difference = np.clip(plan.states[1], -clip, clip) - following[n_action:]
        errors.append(np.sqrt(np.mean(np.square(difference / bundle.normalizer.std[n_action:]))))
    states = windows.rows[:, n_action:]
    return {
        'prediction_error': {
            'n_windows': len(errors), 'seed': seed, 'planner': asdict(config),
            'p99_9': float(np.percentile(errors, 99.9)),
            'percentiles': np.percentile(errors, PERCENTILES).tolist()},
        'state_range': {'min': states.min(axis=0).tolist(), 'max': states.max(axis=0).tolist()}}


def compare(model: 'TrainedModel', bundle: 'Bundle', *, batch_sizes: tuple[int, ...] = (1, 16)
            ) -> dict[str, float]:
    """
    Return the largest difference between torch and onnxruntime per output, on random inputs.

    Relative to the largest entry where that is above 1: an x_0 that is computed from a predicted
    eps at high noise is hundreds of standard deviations large.
    """
    import numpy as np

    largest = {'x_0': 0.0, 'value': 0.0, 'gradient': 0.0, 'forward': 0.0}
    for seed in range(bundle.schedule.n_steps):
        x_t, _ = model.example(batch_sizes[seed % len(batch_sizes)], seed)
        times = x_t.new_full((len(x_t),), seed).long()
        rows = x_t[:, 0]
        expected = {'x_0': model.denoiser(x_t, times), 'forward': model.dynamics_model(rows),
                    **dict(zip(('value', 'gradient'), model.value_and_gradient(x_t, times),
                               strict=True))}
        found = {'x_0': bundle.denoise(x_t.numpy(), seed),
                 'value': bundle.value(x_t.numpy(), seed),
                 'gradient': bundle.value_gradient(x_t.numpy(), seed),
                 'forward': bundle.next_state(rows.numpy())}
        for name, reference in expected.items():
            scale = max(1.0, float(reference.abs().max()))
            difference = float(np.abs(found[name] - reference.numpy()).max()) / scale
            largest[name] = max(largest[name], difference)
    return largest
