# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw the figures of docs/concepts from the models that ship: ``python docs/figures.py``."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
import numpy as np

from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import MonitorConfig, PredictionMonitor
from diffusion_planner_ros.planning.navigation.navigator import Navigator
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import shipped_bundle
from diffusion_planner_ros.sim.environment import make_environment

PICTURES = Path(__file__).parent / 'pictures'
DARK, ORANGE, PALE, BLUE, WALL = '#222222', '#d95f02', '#f2b98a', '#1f4e8c', '#8c7a66'
RED = '#b2182b'
GOAL, N_SHOWN = (-4.5, 3.0), 6  # [m]; candidates
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
THIGH, VELOCITY = 2, 9  # entries of the walker's state: a joint, and on to its velocity
FAULT_AT, WALKED = 150, 200  # [control periods]


def denoising() -> Figure:
    """Draw candidates through the maze, from noise to the plan."""
    maze, robot = Bundle.load(shipped_bundle('point_maze')), make_environment('point_maze')
    planner = Planner(maze, PlannerConfig(**Preset.load('maze').planner))
    navigator, seen = Navigator(maze.robot, horizon=maze.horizon), {}
    state = robot.reset(seed=0)
    navigator.go([GOAL])
    plan = planner.plan(state, condition=navigator.advance(state), on_step=seen.__setitem__)
    space, n_action = maze.robot.goal, maze.robot.action_dim
    shown = [*list(seen.items())[::2], (-1, None)]
    figure = Figure(figsize=(9.6, 1.65), layout='constrained')
    x_limits, y_limits = space.bounds.T
    for axes, (t, x_t) in zip(figure.subplots(1, len(shown)), shown, strict=True):
        axes.set(xlim=x_limits, ylim=y_limits, aspect='equal', xticks=[], yticks=[])
        for row, column in np.argwhere(space.grid.is_wall):
            corner = space.grid.centre(row, column) - space.grid.cell / 2
            axes.add_patch(Rectangle(corner, space.grid.cell, space.grid.cell, color=WALL, lw=0))
        trajectories = plan.candidates if x_t is None else maze.normalizer.unnormalize(x_t)
        for trajectory in trajectories[:N_SHOWN, :, n_action:]:
            axes.plot(*trajectory[:, :2].T, color=PALE, lw=0.8)
        if x_t is None:
            axes.plot(*plan.states[:, :2].T, color=ORANGE, lw=2)
        axes.set_title('ranked: the plan' if x_t is None else
                       f'noise of time {t}' if t else 'denoised', fontsize=10)
        axes.plot(*state[:2], 'o', color=DARK, ms=4)
        axes.plot(*GOAL, '*', color='tab:green', ms=9)
    return figure


def guidance_strength() -> Figure:
    """Draw what a guidance strength does to the first torque and the value."""
    bundle, state = _walking()
    figure = Figure(figsize=(9, 3.2), layout='constrained')
    moved, valued = figure.subplots(1, 2)
    for n_steps, color in ((2, ORANGE), (5, BLUE), (20, DARK)):
        plans = [Planner(bundle, PlannerConfig(
            n_candidates=64, n_denoise_steps=n_steps, guidance_strength=strength)).plan(state)
            for strength in STRENGTHS]
        torques = np.array([p.candidates[:, 0, :bundle.robot.action_dim] for p in plans])
        shift = np.sqrt(np.square(torques - torques[0]).mean(axis=(1, 2)))
        moved.plot(STRENGTHS, shift, 'o-', color=color, ms=4, label=f'{n_steps} steps')
        valued.plot(STRENGTHS, [p.values.mean() for p in plans], 'o-', color=color, ms=4)
    moved.set(xlabel='guidance_strength', ylabel='change of the first torque,\nRMS [N m]')
    valued.set(xlabel='guidance_strength', ylabel='mean predicted return')
    moved.legend(frameon=False)
    _plain(moved, valued)
    return figure


def monitor_score() -> Figure:
    """Draw score and jump of the monitor over time: a push, and two sensor faults."""
    figure = Figure(figsize=(9, 4.2), layout='constrained')
    score, jump = figure.subplots(2, 1, sharex=True)
    times = (np.arange(WALKED) - FAULT_AT) * 8
    for name, color in (('push of 4 N s', DARK), ('noise of 0.1 rad', BLUE),
                        ('sign of a thigh', ORANGE)):
        surprises = _watched(name)
        for axes, of in ((score, 'score'), (jump, 'jump')):
            found = [getattr(s, of) for s in surprises]
            axes.plot(times[:len(found)], found, color=color, lw=1.4, label=name)
    for axes, name, side in ((score, 'ood_warn', 'top'), (score, 'ood_stop', 'bottom'),
                             (jump, 'max_jump', 'bottom')):
        limit = getattr(MonitorConfig(), name)
        axes.axhline(limit, color=RED, lw=1, ls='--')
        axes.text(-190, limit, name, color=RED, fontsize=8, va=side)
    score.set(ylabel='score', yscale='log')
    jump.set(ylabel='jump', yscale='log', xlim=(-200, 400), xlabel='time since it began [ms]')
    figure.legend(*score.get_legend_handles_labels(), loc='outside upper center', ncols=3)
    _plain(score, jump)
    return figure


def _walking() -> tuple[Bundle, np.ndarray]:
    """Return the shipped walker and the state in which it is after 0.8 s."""
    bundle, robot = Bundle.load(shipped_bundle('walker2d')), make_environment('walker2d')
    planner, state = Planner(bundle, PlannerConfig()), robot.reset(seed=0)
    for step in range(100):
        state, _, _ = robot.step(planner.plan(state, step=step).actions[0])
    return bundle, state


def _watched(event: str) -> list:
    """Let the robot walk, something happen from ``FAULT_AT`` on, and the monitor look at it."""
    bundle, robot = Bundle.load(shipped_bundle('walker2d')), make_environment('walker2d')
    planner, monitor = Planner(bundle, PlannerConfig()), PredictionMonitor(bundle)
    rng = np.random.default_rng(0)
    robot.reset(seed=0)
    surprises, predicted, fell = [], None, False
    while len(surprises) < WALKED and not fell:
        state = robot.state.copy()
        since = len(surprises) - FAULT_AT
        if since >= 0 and event == 'noise of 0.1 rad':
            state[1:8] += rng.normal(0.0, 0.1, 7)
        if since >= 0 and event == 'sign of a thigh':
            state[[THIGH, THIGH + VELOCITY]] *= -1.0
        if since == 0 and event == 'push of 4 N s':
            robot.push(np.array([4.0, 0.0, 0.0]))
        surprises.append(monitor.compare(predicted, state))
        plan = planner.plan(state, step=len(surprises))
        predicted = monitor.predict(plan)
        _, _, fell = robot.step(plan.actions[0])
    return surprises


def _plain(*panels: Axes) -> None:
    for axes in panels:
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)


def draw_all(folder: Path = PICTURES) -> None:
    """Draw them all, on white, so that they are legible on a dark page."""
    matplotlib.use('Agg')
    for draw in (denoising, guidance_strength, monitor_score):
        draw().savefig(file := folder / f'{draw.__name__}.png', dpi=90, facecolor='white')
        print(file)


if __name__ == '__main__':
    draw_all()
