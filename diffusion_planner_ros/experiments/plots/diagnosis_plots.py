# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw what a diagnosis found: a plan and what came of it, misalignment, scores before falls."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np
from numpy.typing import NDArray

from ...files import written
from ...robot import Robot
from ..diagnosis.diagnosis import Diagnosis, Example, MODEL_RECORDED, ScoreFigures
from ..diagnosis.out_of_distribution import BEFORE_FALL, by_time_before_fall, SCORES, Scores
from ..misalignment import entry_name, Misalignment

EXECUTED, CHOSEN, CANDIDATE, REAL = '#222222', '#d95f02', '#f3b98a', '#1b9e77'
LINES = ('#d95f02', '#7570b3', '#1b9e77', '#666666')
SHOWN_STATES = (('rootz', 'position'), ('rooty', 'position'), ('rootx', 'velocity'),
                ('leg_joint', 'position'), ('leg_joint', 'velocity'),
                ('foot_joint', 'velocity'))
N_COLUMNS = 3
UNIT = 'root mean square [standard deviations]'


def draw_diagnosis(found: Diagnosis, out: Path) -> list[Path]:
    """
    Draw all pictures of a diagnosis.

    :param out: folder for them, which is there.
    :return: the files: misalignment, scores, and one typical plan for every example.
    """
    robot, visited = found.bundle.robot, found.examples[0]
    files = [out / 'misalignment.png', out / 'series.png', out / 'ood.png']
    with written(files[0]) as scratch:
        shown = {k: m for k, m in found.measured.items() if k != MODEL_RECORDED}
        draw_misalignment(shown, robot, file=scratch,
                          title=f'Predicted against executed states: {found.model}')
    with written(files[1]) as scratch:
        draw_series(visited, robot, file=scratch, real_label='closed loop (replanned)',
                    title=f'A typical plan of {found.model}: {visited.name}')
    with written(files[2]) as scratch:
        draw_scores(found.scores, file=scratch, title=f'Out of distribution: {found.model}')
    for recorded in found.examples[1:]:
        files.append(out / 'series_recorded.png')
        with written(files[-1]) as scratch:
            draw_series(recorded, robot, file=scratch, real_label='recorded',
                        title=f'A typical plan of {found.model} {recorded.name}')
    return files


def _save(figure: Figure, file: Path) -> None:
    matplotlib.use('Agg')
    figure.savefig(file, dpi=110)


def draw_series(example: Example, robot: Robot, *, title: str, real_label: str, file: Path
                ) -> None:
    """
    Draw the actions and some of the states of one plan, of what came of it, and of real ones.

    :param example: the plan, its execution open loop, and the real ones, drawn dashed.
    :param real_label: what these are.
    :param file: PNG to write.
    """
    branch, real = example.branch, example.real
    n_action, plan = robot.action_dim, branch.plan
    times = np.arange(len(plan.actions)) * robot.control_period * 1e3
    columns = [(i, f'torque {e.joint.removesuffix("_joint")} [N m]')
               for i, e in enumerate(robot.action)]
    columns += [(n_action + i, f'{entry_name(e)} [{e.unit}]') for i, e in enumerate(robot.state)
                if (e.joint, e.quantity) in SHOWN_STATES]
    n_rows = -(-len(columns) // N_COLUMNS)
    figure = Figure(figsize=(10.5, 2.1 * n_rows + 0.9), layout='constrained')
    figure.suptitle(title)
    panels = figure.subplots(n_rows, N_COLUMNS, sharex=True, squeeze=False)
    executed = np.concatenate([plan.states[:1], branch.executed])
    for axes, (i, label) in zip(panels.flat, columns, strict=False):
        axes.plot(times, plan.candidates[:, :, i].T, color=CANDIDATE, lw=0.8)
        axes.plot(times, plan.candidates[plan.best, :, i], color=CHOSEN, lw=2.2)
        if i >= n_action:
            axes.plot(times, executed[:, i - n_action], color=EXECUTED, lw=1.4, marker='.', ms=5)
        axes.plot(times[:len(real)], real[:, i], color=REAL, lw=1.4, ls='--')
        axes.set_title(label, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.margins(y=0.12)
    for axes in panels[-1]:
        axes.set_xlabel('time [ms]', fontsize=9)
    first = panels[0, 0]
    handles = [first.plot([], [], color=CANDIDATE, lw=0.8, label='candidates')[0],
               first.plot([], [], color=CHOSEN, lw=2.2, label='chosen plan')[0],
               first.plot([], [], color=EXECUTED, lw=1.4, marker='.', ms=5,
                          label='its actions executed, open loop')[0],
               first.plot([], [], color=REAL, lw=1.4, ls='--', label=real_label)[0]]
    figure.legend(handles=handles, loc='outside lower center', ncols=4, fontsize=9, frameon=False)
    _save(figure, file)


def draw_misalignment(measured: Mapping[str, Misalignment], robot: Robot, *, title: str,
                      file: Path) -> None:
    """
    Draw misalignment per step, and per entry of the state.

    :param measured: by what it is of, at most four.
    :param file: PNG to write.
    """
    figure = Figure(figsize=(10.5, 5.5), layout='constrained')
    figure.suptitle(title)
    steps, entries = figure.subplots(1, 2, width_ratios=(1, 1.1))
    names = [entry_name(e) for e in robot.state]
    height = 0.8 / len(measured)
    for i, ((name, found), color) in enumerate(zip(measured.items(), LINES, strict=False)):
        per_step = found.per_step
        steps.plot(np.arange(1, len(per_step) + 1), per_step, 'o-', ms=4, color=color,
                   label=f'{name}: {found.mean:.3g}')
        entries.barh(np.arange(len(names)) + (i - (len(measured) - 1) / 2) * height,
                     found.per_entry, height, color=color)
    steps.set(xlabel='control periods after the start of the plan',
              ylabel='error, RMS [standard deviations of the data]', title='per step')
    steps.set_ylim(0, 1.4 * steps.get_ylim()[1])  # room for the legend
    steps.legend(fontsize=9, loc='upper left', frameon=False, title='mean over the plans',
                 title_fontsize=9)
    entries.set_yticks(np.arange(len(names)), names, fontsize=8)
    entries.invert_yaxis()
    entries.grid(axis='x', lw=0.4)
    entries.set(xlabel='error, RMS [standard deviations of the data]',
                title='per entry of the state')
    _save(figure, file)


def draw_scores(found: ScoreFigures, *, title: str, file: Path) -> None:
    """
    Draw how far states and plans are from the data, and scores by the time before falls.

    :param file: PNG to write.
    """
    scores, distances = found.scores, found.distances
    n_falls = sum(bool(np.isfinite(s.time_to_fall).any()) for s in scores)
    n_panels = 1 + bool(distances) + bool(n_falls)
    figure = Figure(figsize=(4.6 * n_panels, 4.4), layout='constrained')
    figure.suptitle(f'{title}: {n_falls} falls in {len(scores)} episodes')
    panels = list(figure.subplots(1, n_panels, squeeze=False)[0])
    if distances:
        _draw_shares(panels.pop(0), distances, 'distance to the nearest state of the data')
    _draw_shares(panels.pop(0), found.surprises, SCORES['surprise'])
    if n_falls:
        _draw_before_falls(panels.pop(0), scores, found.areas)
    _save(figure, file)


def _draw_shares(axes: Axes, groups: Mapping[str, NDArray], title: str) -> None:
    """Draw the share of every group that is above x."""
    for (name, values), color in zip(groups.items(), (REAL, EXECUTED, CHOSEN), strict=False):
        values = np.sort(values[~np.isnan(values)])
        # The largest has none above it, which a logarithm cannot show.
        axes.plot(values[:-1], np.linspace(100, 0, len(values))[:-1], color=color, label=name)
    axes.set(xscale='log', yscale='log', ylim=(0.1, 110), xlabel=UNIT,
             ylabel='control periods above [%]')
    axes.set_title(title, fontsize=10)
    axes.set_yticks([0.1, 1, 10, 100], ['0.1', '1', '10', '100'])
    axes.legend(fontsize=9)


def _draw_before_falls(axes: Axes, scores: Sequence[Scores], areas: Mapping[str, float]) -> None:
    for (name, groups), color in zip(by_time_before_fall(scores).items(), LINES, strict=False):
        axes.plot([np.nanmedian(g) if len(g) else np.nan for g in groups], 'o-', ms=4,
                  color=color, label=f'{SCORES[name]} (AUC {areas[name]:.2f})')
    edges = (*BEFORE_FALL[::-1], 0.0)
    names = ['earlier,\nno fall', *(f'{a:g} to\n{b:g} s' for a, b in pairwise(edges))]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel='time before a fall', ylabel=UNIT)
    axes.set_title('median score before falls', fontsize=10)
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=8, loc='upper left', frameon=False)
