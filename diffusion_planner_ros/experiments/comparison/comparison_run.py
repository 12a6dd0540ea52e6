# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Methods on data sets: what is trained, what is measured, and in which order."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..progress import Progress, silent
from .cell import Cell
from .cell_model import CellModel, DataSet
from .evaluation import Evaluation
from .job_runner import Failure, Job, run_jobs
from .method import Method


def cells_of(methods: Iterable[Method], data_sets: Iterable[DataSet], seeds: Sequence[int], *,
             minutes: float, evaluation: Evaluation) -> list[Cell]:
    """Return all cells, data set by data set; the behaviour in the data has no seed but one."""
    cells = [Cell(method, data, seed, minutes, evaluation)
             for data in data_sets for method in methods for seed in seeds]
    return [cell for cell in cells if cell.model is not None or cell.seed == seeds[0]]


def run_comparison(cells: Sequence[Cell], out: Path, *, n_processes: int,
                   progress: Progress = silent) -> list[dict[str, Any]]:
    """
    Train and measure all cells, side by side; cells that are done are only read.

    :param out: folder of everything that comes of it.
    :param n_processes: cells at a time, each on one core.
    :param progress: is told of everything that is trained or measured.
    :return: for every cell method, data, seed, and what was measured or why it ``failed``.
    """
    known = {cell: cell.read(out) for cell in cells}
    jobs = _jobs([cell for cell, facts in known.items() if facts is None], out)
    with progress('comparing', len(jobs), unit='jobs') as advance:
        def on_end(key: Cell | CellModel, result: Any) -> None:
            advance(1, **({'failed': result.reason} if isinstance(result, Failure)
                          else {'done': str(key)}))
        results = run_jobs(jobs, n_processes, on_end=on_end)
    return [_facts(cell, results.get(cell, known[cell])) for cell in cells]


def _jobs(cells: Iterable[Cell], out: Path) -> dict[Cell | CellModel, Job]:
    """Return the measurements, each as soon as it may be, and the trainings that are not done."""
    trainings: dict[Cell | CellModel, Job] = {}
    measurements: dict[Cell | CellModel, Job] = {}

    def add_training(model: CellModel) -> None:
        if model.teacher is not None:
            add_training(model.teacher)
        if not model.is_done(out):
            trainings[model] = Job(partial(model.train, out), after=model.teacher)

    for cell in cells:
        if cell.model is not None:
            add_training(cell.model)
        measurements[cell] = Job(partial(cell.measure, out), after=cell.model)
    return measurements | trainings


def _facts(cell: Cell, result: Any) -> dict[str, Any]:
    measured = {'failed': result.reason} if isinstance(result, Failure) else result
    return {'method': cell.method.label, 'data': cell.data.label, 'seed': cell.seed, **measured}
