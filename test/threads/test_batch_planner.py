# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plans of several threads are made together; each thread gets its own, or its own fault."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import threading
import time

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.errors import StateError
from diffusion_planner_ros.goals.obstacle import Disc
from diffusion_planner_ros.nodes.threads.batch_planner import BatchPlanner
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

TIME_LIMIT = 10.0  # [s]


class Held:
    """A planner whose first batch waits until it is told to go on; it notes every batch."""

    def __init__(self, planner):
        self._planner = planner
        self.batches = []
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def is_like(self, other):
        return other is self

    def plans(self, starts):
        self.batches.append([start.step for start in starts])
        self.has_begun.set()
        assert self.may_go_on.wait(TIME_LIMIT)
        return self._planner.plans(starts)


@pytest.fixture
def planner(bundle):
    return Planner(bundle, PlannerConfig())


@pytest.fixture
def states(recorded):
    return [episode.observations[5] for episode in recorded.episodes[:5]]


def ask(planners, states):
    """Ask for the plan of the first state, and for the others while that is made."""
    batch = BatchPlanner()
    with ThreadPoolExecutor(len(states)) as pool:
        asked = [pool.submit(batch.plan, planners[0], states[0], step=0)]
        assert planners[0].has_begun.wait(TIME_LIMIT)
        for k in range(1, len(states)):
            asked.append(pool.submit(batch.plan, planners[k], states[k], step=k))
            time.sleep(0.05)  # so that they come in order
        for held in planners:
            held.may_go_on.set()
        return [future.exception(TIME_LIMIT) or future.result() for future in asked]


def test_who_waits_is_planned_for_together_and_gets_the_plan_of_its_own_state(planner, states):
    held = Held(planner)
    plans = ask([held] * 5, states)
    assert held.batches == [[0], [1, 2, 3, 4]]
    for k, plan in enumerate(plans):
        expected = planner.plan(states[k], step=k)
        assert_allclose(plan.candidates, expected.candidates, rtol=0, atol=1e-3)
        assert plan.best == expected.best


def test_whoever_is_alone_gets_the_plan_of_its_planner_to_the_last_bit(planner, states):
    plan = BatchPlanner().plan(planner, states[0], step=3)
    assert_array_equal(plan.candidates, planner.plan(states[0], step=3).candidates)


def test_a_state_that_nothing_can_be_planned_from_is_the_fault_of_its_own_robot(planner, states):
    held = Held(planner)
    states[2] = np.full_like(states[2], np.nan)
    plans = ask([held] * 4, states[:4])
    assert isinstance(plans[2], StateError)
    assert held.batches == [[0], [1, 2, 3], [1], [2], [3]]
    for k in (1, 3):
        assert_array_equal(plans[k].candidates, planner.plan(states[k], step=k).candidates)


class Failing(Held):
    """A planner whose network fails in every batch of more than one."""

    def plans(self, starts):
        plans = super().plans(starts)
        if len(starts) > 1:
            raise RuntimeError('no memory')
        return plans


def test_a_batch_that_fails_for_another_reason_is_the_fault_of_all_and_not_hidden(planner, states):
    failing = Failing(planner)
    first, *others = ask([failing] * 3, states[:3])
    assert not isinstance(first, Exception)
    assert [str(fault) for fault in others] == ['no memory'] * 2
    assert failing.batches == [[0], [1, 2]]


def test_planners_are_alike_only_while_they_know_the_same_obstacles():
    bundle = Bundle.load(share_file('models/point_maze'))
    config = PlannerConfig(guides=('learned_value', 'obstacles'), guide_weights=(1.0, 1.0))
    first, second = (Planner(bundle, config) for _ in range(2))
    assert first.is_like(second)
    first.avoid([Disc((1.0, 0.0), 0.2)])
    assert not first.is_like(second)
    second.avoid([Disc((1.0, 0.0), 0.2)])
    assert first.is_like(second)


def test_planners_that_differ_plan_one_after_the_other(planner, states):
    first, second = Held(planner), Held(planner)
    assert all(ask([first, second, first, second], states[:4]))
    assert (first.batches, second.batches) == ([[0], [2]], [[1, 3]])


def test_planners_are_alike_where_bundle_and_settings_are_and_no_speed_is_followed(bundle):
    planner = Planner(bundle, PlannerConfig())
    assert planner.is_like(Planner(replace(bundle), PlannerConfig()))
    assert not planner.is_like(Planner(bundle, PlannerConfig(seed=1)))
    other = replace(bundle, facts={**bundle.facts, 'sha256': {'plan.onnx': 'another'}})
    assert not planner.is_like(Planner(other, PlannerConfig()))
    follower, another = (Planner(bundle, PlannerConfig(guides=('speed',))) for _ in range(2))
    assert follower.is_like(follower)
    assert not follower.is_like(another)
