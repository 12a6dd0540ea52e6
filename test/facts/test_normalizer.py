# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Normalisation: there and back, and what it does to a constant."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.normalizer import Normalizer

FITS = (Normalizer.fit, Normalizer.fit_limits)


def test_normalized_rows_have_mean_zero_and_deviation_one():
    rows = np.random.default_rng(0).normal([1.0, -50.0], [0.01, 30.0], (500, 2))
    normalized = Normalizer.fit(rows).normalize(rows)
    assert_allclose(normalized.mean(axis=0), 0.0, atol=1e-12)
    assert_allclose(normalized.std(axis=0), 1.0, rtol=1e-12)


def test_rows_go_from_limit_to_limit():
    rows = np.random.default_rng(0).normal([1.0, -50.0], [0.01, 30.0], (500, 2))
    normalized = Normalizer.fit_limits(rows).normalize(rows)
    assert_allclose(normalized.min(axis=0), -1.0, rtol=1e-12)
    assert_allclose(normalized.max(axis=0), 1.0, rtol=1e-12)


@pytest.mark.parametrize('fit', FITS)
def test_unnormalize_undoes_normalize(fit):
    rows = np.random.default_rng(0).normal(3.0, 20.0, (50, 4))
    normalizer = fit(rows)
    assert_allclose(normalizer.unnormalize(normalizer.normalize(rows)), rows, rtol=1e-12)


@pytest.mark.parametrize('fit', FITS)
def test_a_constant_column_keeps_its_unit(fit):
    rows = np.full((10, 1), 7.0)
    assert_array_equal(fit(rows).normalize(rows + 0.5), 0.5)


def test_a_state_is_normalized_like_the_end_of_its_row():
    rows = np.random.default_rng(0).normal(3.0, 20.0, (50, 5))
    normalizer = Normalizer.fit(rows)
    assert_array_equal(normalizer.normalize_state(rows[:, 2:]), normalizer.normalize(rows)[:, 2:])
