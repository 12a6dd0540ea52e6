# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Measure how long a plan takes: compiled, in the general loop, and in PyTorch eager."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import product
import os
import platform
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnxruntime
import torch

from ...errors import ConfigError, ModelError
from ...learning.networks.builders import build_networks
from ...learning.train_config import TrainConfig
from ...planning.bundle import Bundle, FACTS_FILE
from ...planning.compiled_plan import CompiledPlan
from ...planning.conditions import normalized_condition
from ...planning.guides.learned_value import LearnedValue
from ...planning.planner import Planner
from ...planning.planner_config import PlannerConfig
from ..markdown import table
from ..progress import Progress, silent
from .diffuser import diffuser_planner
from .torch_planner import TorchPlanner

N_IN_A_ROW = 4  # plans that a planner makes one after another, beside a first one, not counted
SAMPLERS = {False: 'ddim', True: 'ddpm'}  # by whether a plan is guided
GUIDANCE_STRENGTH = 1.0  # any: it does not change the time
STAGED = PlannerConfig(n_candidates=8, n_denoise_steps=2)  # its stages are measured
CONTENDERS = ('compiled', 'general', 'torch')

Planning = Callable[[int], Any]
"""Makes the plan of a step."""


def torch_planner(bundle: Bundle, config: PlannerConfig) -> TorchPlanner:
    """
    Return a planner in PyTorch with networks of a bundle's shapes; their weights are random.

    :raises ModelError: if the bundle does not say how it was trained.
    """
    training = bundle.facts.get('training')
    if not training:
        raise ModelError(f'{bundle.path / FACTS_FILE}: does not say how the model was trained, '
                         'expected a section training; export the model again')
    # A setting that is newer than the bundle has its default, which was the only way before.
    settings = {f.name: training[f.name] for f in fields(TrainConfig) if f.name in training}
    networks = build_networks(TrainConfig(**settings), bundle.robot).eval().requires_grad_(False)
    return TorchPlanner(
        denoiser=networks.diffusion, value=networks.value, schedule=bundle.schedule,
        normalizer=bundle.normalizer, value_normalizer=bundle.value_normalizer,
        row_limits=bundle.row_limits, horizon=bundle.horizon,
        value_unit=float(LearnedValue(bundle).unit), config=replace(
            config, clip_denoised=min(config.clip_denoised, bundle.largest_entry)))


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let PyTorch use this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_planning(bundle: Bundle, *, candidates: Sequence[int], steps: Sequence[int],
                     n_rounds: int, n_diffuser_plans: int, n_threads: int,
                     progress: Progress = silent) -> dict[str, Any]:
    """
    Measure planning for all combinations of candidates, denoising steps and guidance.

    All contenders take turns, so that whatever else the machine does hits all of them alike.

    :param n_rounds: turns; in each one a contender makes ``N_IN_A_ROW`` plans that count.
    :param n_diffuser_plans: plans in the setting of Diffuser, at most one per round.
    :param n_threads: of PyTorch; those of onnxruntime are the bundle's.
    :raises ConfigError: if candidates or steps are out of range, or there are no rounds.
    :raises ModelError: if the bundle does not say how it was trained.
    """
    if n_rounds < 1 or not 0 <= n_diffuser_plans <= n_rounds:
        raise ConfigError(f'rounds is {n_rounds} and diffuser-plans {n_diffuser_plans}, expected '
                          'at least 1 round, and from 0 to as many plans as rounds')
    if not candidates or not steps:
        raise ConfigError('candidates or steps are none, expected at least one number of each')
    state = bundle.normalizer.mean[bundle.robot.action_dim:]
    cells = {}
    for guided, n_steps, n_candidates in product((False, True), steps, candidates):
        config = PlannerConfig(
            n_candidates=n_candidates, n_denoise_steps=n_steps, sampler=SAMPLERS[guided],
            guidance_strength=GUIDANCE_STRENGTH * guided)
        cells[n_candidates, n_steps, guided] = _contenders(bundle, config, state)
    stages = _stages(bundle, state)
    diffuser = diffuser_planner(torch_planner(bundle, STAGED))
    at_rounds = np.linspace(0, n_rounds, n_diffuser_plans, endpoint=False).astype(int)
    times: dict[tuple[Any, str], list[float]] = defaultdict(list)
    diffuser_times: list[float] = []
    measured: dict[Any, dict[str, Planning]] = {**cells, 'stages': stages}
    shown = next(iter(cells))
    with torch_threads(n_threads), progress('benchmark', n_rounds, unit='round') as advance:
        for number in range(n_rounds):
            for key, contenders in measured.items():
                for name, plan in contenders.items():
                    times[key, name] += timed(plan, number)
            if number in at_rounds:
                begin = time.perf_counter()
                diffuser.plan(state, step=number)
                diffuser_times.append(time.perf_counter() - begin)
            advance(1, **{name: f'{1e3 * np.median(times[shown, name]):.2f} ms'
                          for name in cells[shown]})
    reference = float(np.median(diffuser_times)) if diffuser_times else None
    return {
        'machine': _machine(), 'onnxruntime_provider': bundle.provider, 'n_threads': n_threads,
        'plans_per_contender': n_rounds * N_IN_A_ROW, 'diffuser_p50_s': reference,
        'cells': [_cell(key, {name: times[key, name] for name in contenders}, reference)
                  for key, contenders in cells.items()],
        'stages_p50_ms': {'candidates': STAGED.n_candidates, 'steps': STAGED.n_denoise_steps,
                          **_staged({name: times['stages', name] for name in stages})}}


def _contenders(bundle: Bundle, config: PlannerConfig, state: NDArray) -> dict[str, Planning]:
    """Return all that make the same plan, by name; the first one is the reference of ratios."""
    planners: dict[str, Planner | TorchPlanner] = {
        'general': Planner(bundle.without_plan(), config)}
    if bundle.has_plan:
        planners = {'compiled': Planner(bundle, config), **planners}
    planners['torch'] = torch_planner(bundle, config)
    return {name: _planning(planner, state) for name, planner in planners.items()}


def _planning(planner: Planner | TorchPlanner, state: NDArray) -> Planning:
    return lambda step: planner.plan(state, step=step)


def _stages(bundle: Bundle, state: NDArray) -> dict[str, Planning]:
    """Return the parts of a compiled plan that can be done alone, and the whole one."""
    if not bundle.has_plan:
        return {}
    compiled, planner = CompiledPlan(bundle, STAGED), Planner(bundle, STAGED)
    known, mask = (array[None] for array in normalized_condition(bundle, state))
    inputs = compiled.inputs(known, mask, seeds=[0])
    return {
        'state': lambda step: normalized_condition(bundle, bundle.check_state(state)),
        'noise': lambda step: compiled.inputs(known, mask, seeds=[(0, step)]),
        'graph': lambda step: bundle.plan(inputs),
        'plan': lambda step: planner.plan(state, step=step)}


def timed(plan: Planning, number: int) -> list[float]:
    """Return how long plans in a row take [s]."""
    plan(number)  # the one before had other networks in the caches
    times = []
    for k in range(N_IN_A_ROW):
        begin = time.perf_counter()
        plan(number * N_IN_A_ROW + k)
        times.append(time.perf_counter() - begin)
    return times


def _cell(key: tuple[int, int, bool], times: Mapping[str, Sequence[float]],
          diffuser: float | None) -> dict[str, Any]:
    """Return percentiles [ms], and how many times longer than the first one the others take."""
    p50, p99 = ({name: float(np.percentile(found, q)) for name, found in times.items()}
                for q in (50, 99))
    own = next(iter(times))
    others = {name: t for name, t in p50.items() if name != own}
    if diffuser is not None:
        others['diffuser'] = diffuser
    return {**dict(zip(('candidates', 'steps', 'guided'), key, strict=True)),
            **{name: {'p50_ms': 1e3 * p50[name], 'p99_ms': 1e3 * p99[name]} for name in times},
            'ratios': {name: t / p50[own] for name, t in others.items()}}


def _staged(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return medians [ms], with what is left of the whole plan."""
    p50 = {name: 1e3 * float(np.median(found)) for name, found in times.items()}
    if 'plan' not in p50:
        return {}
    whole = p50.pop('plan')
    return {**p50, 'rest': whole - sum(p50.values()), 'plan': whole}


def _machine() -> dict[str, Any]:
    return {'processor': platform.processor() or platform.machine(), 'cores': os.cpu_count(),
            'onnxruntime': onnxruntime.__version__, 'torch': torch.__version__}


def plan_medians(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the medians [ms] of whoever all are compared with, by settings in words."""
    own = next(name for name in CONTENDERS if name in cells[0])
    return {f'{c["candidates"]} candidates, {c["steps"]} steps'
            f'{", guided" if c["guided"] else ""}': c[own]['p50_ms'] for c in cells}


def benchmark_table(facts: Mapping[str, Any]) -> str:
    """Return what ``measure_planning`` found, in Markdown."""
    cells = facts['cells']
    names = [name for name in CONTENDERS if name in cells[0]]
    ratios = list(cells[0]['ratios'])
    rows = [(c['candidates'], c['steps'], 'yes' if c['guided'] else 'no',
             *(f'{c[name]["p50_ms"]:.2f} / {c[name]["p99_ms"]:.2f}' for name in names),
             *(f'{c["ratios"][name]:,.1f}' for name in ratios)) for c in cells]
    return table(('candidates', 'steps', 'guided', *(f'{n}: p50 / p99 [ms]' for n in names),
                  *(f'{n} / {names[0]}' for n in ratios)), rows)
