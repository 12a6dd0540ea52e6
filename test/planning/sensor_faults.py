# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
A walking robot whose measured state is wrong, and what the monitor says of it.

``python test/planning/sensor_faults.py`` prints the table of docs/results/results.md.
"""

import numpy as np

from diffusion_planner_ros.experiments.markdown import table
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import shipped_bundle
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.sim.perturbation import UNPERTURBED
from diffusion_planner_ros.sim.perturbation_ranges import DRAWN

PITCH, THIGH, LEG, FOOT, THIGH_LEFT = 1, 2, 3, 4, 5
VELOCITY = 9  # from a hinge's position to its velocity
FAULT_AT = 150
PERIOD = 8  # [ms]
COLUMNS = ('fault', 'episodes', 'largest score', 'warning [ms]', 'stop [ms]',
           'fall without the monitor [ms]')


def unchanged(state, held, rng):
    del held, rng
    return state


def swapped(first, second):
    def fault(state, held, rng):
        del held, rng
        for entries in ((first, second), (first + VELOCITY, second + VELOCITY)):
            state[list(entries)] = state[list(entries[::-1])]
        return state
    return fault


def flipped(joint):
    def fault(state, held, rng):
        del held, rng
        state[[joint, joint + VELOCITY]] *= -1.0
        return state
    return fault


def frozen(state, held, rng):
    del state, rng
    return held


def noisy(state, held, rng):
    del held
    state[1:8] += rng.normal(0.0, 0.3, 7)  # [rad]
    return state


def too_large(state, held, rng):
    del held, rng
    state[LEG] = 1e5  # [rad]
    return state


def walk(bundle, fault, *, seed=0, robot=UNPERTURBED, n_steps=FAULT_AT + 100):
    """Walk with a fault in the state from ``FAULT_AT`` on; return what the monitor says."""
    walker = make_environment('walker2d', robot)
    planner = Planner(bundle, PlannerConfig(seed=seed))
    monitor, rng = PredictionMonitor(bundle), np.random.default_rng(seed)
    walker.reset(seed)
    surprises, predicted, held, fell = [], None, None, False
    while not fell and len(surprises) < n_steps:
        state = walker.state
        if len(surprises) >= FAULT_AT:
            held = state if held is None else held
            state = fault(state.copy(), held, rng)
        surprises.append(monitor.compare(predicted, state))
        plan = planner.plan(state, step=len(surprises))
        predicted = monitor.predict(plan)
        _, _, fell = walker.step(plan.actions[0])
    return surprises, fell


def levels(*args, **kwargs):
    """Return the levels of ``walk``."""
    return [surprise.level for surprise in walk(*args, **kwargs)[0]]


def main():
    """Print the table."""
    bundle = Bundle.load(shipped_bundle('walker2d'))
    rows = []
    for name, fault, seeds, robots in (
            ('none', unchanged, range(20), UNPERTURBED),
            ('none, drawn robots', unchanged, range(1000, 1100), DRAWN),
            ('thigh and leg swapped', swapped(THIGH, LEG), range(4), UNPERTURBED),
            ('leg and foot swapped', swapped(LEG, FOOT), range(4), UNPERTURBED),
            ('left and right thigh swapped', swapped(THIGH, THIGH_LEFT), range(4), UNPERTURBED),
            ('sign of the pitch', flipped(PITCH), range(4), UNPERTURBED),
            ('sign of a thigh', flipped(THIGH), range(4), UNPERTURBED),
            ('sign of a leg', flipped(LEG), range(4), UNPERTURBED),
            ('noise of 0.3 rad', noisy, range(4), UNPERTURBED),
            ('frozen', frozen, range(4), UNPERTURBED)):
        scores, times = [], {'warn': [], 'stop': [], 'fall': []}
        for seed in seeds:
            n_steps = 1000 if fault is unchanged else 600
            surprises, fell = walk(bundle, fault, seed=seed, robot=robots.draw(seed),
                                   n_steps=n_steps)
            since = 0 if fault is unchanged else FAULT_AT
            scores.append(np.nanmax([s.score for s in surprises[since:]]))
            for level, above in (('warn', ('warn', 'stop')), ('stop', ('stop',))):
                times[level].append(next((PERIOD * k for k, s in enumerate(surprises[since:])
                                          if s.level in above), None))
            times['fall'].append(PERIOD * (len(surprises) - since) if fell else None)
        rows.append([name, len(seeds), f'{min(scores):.2g} to {max(scores):.2g}',
                     *(_summary(found) for found in times.values())])
    print(table(COLUMNS, rows))


def _summary(times):
    """Return when something happened, of several episodes [ms]."""
    found = sorted(time for time in times if time is not None)
    if not found:
        return 'never'
    seen = f'{found[0]}' if found[0] == found[-1] else f'{found[0]} to {found[-1]}'
    return seen if len(found) == len(times) else f'{seen} ({len(found)} of {len(times)})'


if __name__ == '__main__':
    main()
