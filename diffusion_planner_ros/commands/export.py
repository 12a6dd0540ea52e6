"""``diffusion_planner export``: a checkpoint becomes a model bundle."""

from pathlib import Path
import tempfile
from typing import TYPE_CHECKING

from .output import report

if TYPE_CHECKING:
    from ..learning.export import TrainedModel
    from ..planning.bundle import Bundle

MAX_DIFFERENCE = 1e-4


def export(
    checkpoint: Path = Path('runs/walker2d/checkpoint.pt'),
    out: Path = Path('models/walker2d'),
    json: bool = False,
) -> None:
    """
    Export a checkpoint as a model bundle; refused if onnxruntime and torch disagree.

    :param checkpoint: file that ``train`` wrote.
    :param out: folder of the bundle; a bundle that is already there is replaced.
    :param json: print the report as JSON.
    """
    from ..errors import ModelError
    from ..learning.export import export_networks, TrainedModel
    from ..planning import bundle as bundles

    if out.exists() and not out.is_dir():
        raise ModelError(f'{out}: is a file, expected the folder of a bundle or a new name')
    model = TrainedModel.load(checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch)
        files = [bundles.DENOISER_FILE, bundles.VALUE_FILE]
        export_networks(model, *(folder / name for name in files))
        bundles.write_facts(folder, {'format_version': bundles.FORMAT_VERSION, **model.facts})
        differences = compare(model, bundles.Bundle.load(folder))
        for name, difference in differences.items():
            if not difference <= MAX_DIFFERENCE:
                raise ModelError(f'{checkpoint}: {name} of onnxruntime and torch differ by '
                                 f'{difference:.2e}, expected at most {MAX_DIFFERENCE:.0e}; '
                                 f'nothing was written to {out}')
        out.mkdir(exist_ok=True)
        for name in [*files, bundles.FACTS_FILE]:
            (folder / name).replace(out / name)
    size = sum((out / name).stat().st_size for name in [*files, bundles.FACTS_FILE])
    report({'bundle': str(out), 'size_mb': size / 1e6, 'max_difference': differences},
           as_json=json)


def compare(model: 'TrainedModel', bundle: 'Bundle', *, batch_sizes: tuple[int, ...] = (1, 16)
            ) -> dict[str, float]:
    """
    Return the largest difference between torch and onnxruntime per output, on random inputs.

    Relative to the largest entry where that is above 1: an x_0 that is computed from a predicted
    eps at high noise is hundreds of standard deviations large.
    """
    import numpy as np

    largest = {'x_0': 0.0, 'value': 0.0, 'gradient': 0.0}
    for seed in range(bundle.schedule.n_steps):
        x_t, _ = model.example(batch_sizes[seed % len(batch_sizes)], seed)
        times = x_t.new_full((len(x_t),), seed).long()
        expected = {'x_0': model.denoiser(x_t, times),
                    **dict(zip(('value', 'gradient'), model.value_and_gradient(x_t, times),
                               strict=True))}
        found = {'x_0': bundle.denoise(x_t.numpy(), seed),
                 'value': bundle.value(x_t.numpy(), seed),
                 'gradient': bundle.value_gradient(x_t.numpy(), seed)}
        for name, reference in expected.items():
            scale = max(1.0, float(reference.abs().max()))
            difference = float(np.abs(found[name] - reference.numpy()).max()) / scale
            largest[name] = max(largest[name], difference)
    return largest
