# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Standard error of a mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def standard_error(values: Sequence[float] | NDArray) -> float | None:
    """Return the standard error of the mean of n independent values; None for a single one."""
    # Not scipy's: to import that takes most of a second, at the end of every walk.
    n = len(values)
    return float(np.std(values, ddof=1)) / n ** 0.5 if n > 1 else None
