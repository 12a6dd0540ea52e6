# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Standard error of a mean."""

from collections.abc import Sequence

from numpy.typing import NDArray


def standard_error(values: Sequence[float] | NDArray) -> float | None:
    """Return the standard error of the mean of n independent values; None for a single one."""
    # Only here: to import it takes most of a second, and worker processes do not need it.
    from scipy.stats import sem

    return float(sem(values)) if len(values) > 1 else None
