# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Jobs side by side: one that fails or dies takes only those with it that come after it."""

from functools import partial
import math
import operator
import os

from diffusion_planner_ros.experiments.comparison.job_runner import Failure, Job, run_jobs
from diffusion_planner_ros.robot import Robot


def ended(jobs, n_processes=2):
    order = []
    results = run_jobs(jobs, n_processes, on_end=lambda key, result: order.append((key, result)))
    assert dict(order) == results
    assert len(order) == len(results) == len(jobs)
    return results, [key for key, _ in order]


def test_a_failed_and_a_dead_job_are_told_in_one_line_and_the_others_go_on():
    results, _ = ended({
        'sum': Job(partial(operator.add, 1, 2)),
        'wrong': Job(partial(math.sqrt, -1.0)),
        'dead': Job(partial(os._exit, 1)),
        'mendable': Job(partial(Robot.load, 'r2d2')),
        'after wrong': Job(partial(operator.add, 1, 2), after='wrong'),
        'after sum': Job(partial(operator.add, 3, 4), after='sum')})
    assert (results['sum'], results['after sum']) == (3, 7)
    assert results['wrong'].reason.startswith('ValueError: ')
    assert results['after wrong'] == results['wrong']
    assert results['dead'].reason.startswith('BrokenProcessPool: ')
    assert results['mendable'].reason.startswith("no robot 'r2d2': expected one of")
    assert not any('\n' in r.reason for r in results.values() if isinstance(r, Failure))


def test_jobs_run_in_order_but_for_those_that_wait():
    _, order = ended({'late': Job(partial(operator.add, 1, 2), after='early'),
                      'early': Job(partial(operator.add, 1, 2)),
                      'last': Job(partial(operator.add, 1, 2))}, n_processes=1)
    assert order == ['early', 'late', 'last']


def test_a_job_after_one_that_is_not_there_does_not_wait():
    results, _ = ended({'it': Job(partial(operator.add, 1, 2), after='done long ago')})
    assert results == {'it': 3}


def test_a_reason_is_one_line():
    results, _ = ended({'it': Job(partial(exec, 'raise ValueError("first\\n  second")'))})
    assert results['it'].reason == 'ValueError: first second'
