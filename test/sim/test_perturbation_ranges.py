# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots that are drawn: within their ranges, and the same ones for the same seed."""

from dataclasses import asdict

import numpy as np
import pytest

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.sim.behaviour.curriculum import Curriculum, END, Mixture, START
from diffusion_planner_ros.sim.perturbation import Perturbation, UNPERTURBED
from diffusion_planner_ros.sim.perturbation_ranges import (
    choose_robots,
    DRAWN,
    PerturbationRanges,
    WIDE,
)


def test_every_entry_of_a_perturbation_has_a_range():
    names = [[entry.name for entry in settings_of(owner)]
             for owner in (Perturbation, PerturbationRanges)]
    assert sorted(names[0]) == sorted(names[1])


def test_drawn_robots_fill_their_ranges_and_follow_from_the_seed():
    robots = [DRAWN.draw(seed) for seed in range(400)]
    assert robots == [DRAWN.draw(seed) for seed in range(400)]
    for name, (low, high) in asdict(DRAWN).items():
        values = np.array([getattr(robot, name) for robot in robots])
        assert low <= values.min() < low + 0.05 * (high - low) + 1e-12
        assert high - 0.05 * (high - low) - 1e-12 < values.max() <= high
        if name == 'torque_delay':
            assert set(values) == {0, 1, 2, 3, 4}
    masses, pushes = ([getattr(r, name) for r in robots] for name in ('mass', 'push'))
    assert abs(np.corrcoef(masses, pushes)[0, 1]) < 4 / np.sqrt(len(robots))


def test_ranges_grow_from_the_unperturbed_robot():
    assert {DRAWN.scaled(0.0).draw(seed) for seed in range(5)} == {UNPERTURBED}
    assert DRAWN.scaled(1.0) == DRAWN
    half = DRAWN.scaled(0.5)
    for name, (low, high) in asdict(half).items():
        nominal, bounds = getattr(UNPERTURBED, name), getattr(DRAWN, name)
        assert (low, high) == pytest.approx([(nominal + bound) / 2 for bound in bounds])


def test_a_curriculum_makes_robots_differ_more_and_more_and_needs_several():
    curriculum = Curriculum(DRAWN)
    pushes = []
    for progress in (0.0, START, (START + END) / 2, END, 1.0):
        curriculum.advance(progress)
        pushes.append(max(curriculum.draw(seed).push for seed in range(200)))
    assert pushes[:2] == [0.0, 0.0]
    assert pushes == pytest.approx([share * pushes[-1] for share in (0.0, 0.0, 0.5, 1.0, 1.0)])
    alone = Curriculum(Perturbation(mass=1.2))
    assert (alone.share, alone.draw(0)) == (1.0, Perturbation(mass=1.2))


def test_a_mixture_has_all_robots_from_the_beginning():
    mixture = Mixture(WIDE, 0.6)
    robots = [mixture.draw(seed) for seed in range(1000)]
    assert robots == [mixture.draw(seed) for seed in range(1000)]
    mixture.advance(0.5)
    assert mixture.draw(3) == robots[3]
    for name, (low, high) in asdict(WIDE).items():
        values = np.array([getattr(robot, name) for robot in robots])
        nominal = getattr(UNPERTURBED, name)
        assert min(low, nominal) <= values.min()
        assert values.max() <= max(high, nominal)
        if name in ('mass', 'friction', 'ground_friction', 'push'):
            # The mean of an even number to the power p is 1 / (1 + p); that of the entry is half.
            furthest = max(nominal - low, high - nominal)
            expected = furthest / 2 / (1 + mixture.exponent)
            assert np.abs(values - nominal).mean() == pytest.approx(expected, rel=0.15)


def test_a_perturbation_draws_itself():
    robot = Perturbation(mass=1.2)
    assert robot.draw(3) is robot
    fixed = {name: (value, value) for name, value in asdict(UNPERTURBED).items()}
    assert PerturbationRanges(**fixed).draw(5) == UNPERTURBED


@pytest.mark.parametrize('bounds', [(1.2, 0.8), (1.0,), (0.8, 1.0, 1.2)])
def test_a_range_that_is_none_is_refused(bounds):
    with pytest.raises(ConfigError, match=r'mass is .*expected two numbers, the smaller'):
        PerturbationRanges(mass=bounds)


def test_the_pushes_of_all_robots_can_be_set():
    assert Perturbation(mass=1.2, push=1.0).pushed(5.0) == Perturbation(mass=1.2, push=5.0)
    ranges = DRAWN.pushed(5.0)
    assert ranges.draw(3).push == 5.0
    assert ranges.draw(3).mass == DRAWN.draw(3).mass


def test_robots_are_drawn_or_all_the_same_but_not_both():
    assert choose_robots(UNPERTURBED, drawn=True) is DRAWN
    assert choose_robots(Perturbation(mass=1.2), drawn=False) == Perturbation(mass=1.2)
    with pytest.raises(ConfigError, match=r'--drawn and .*mass=1.2, .* are both given'):
        choose_robots(Perturbation(mass=1.2), drawn=True)
