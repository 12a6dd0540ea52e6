# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Faults that a caller may catch; each message names the thing, the value, the expectation."""


class PlannerError(Exception):
    """Base of all faults of this package."""


class RobotError(PlannerError):
    """A robot description (YAML) is not usable."""


class DatasetError(PlannerError):
    """A data set file is not usable."""


class ModelError(PlannerError):
    """A model bundle or checkpoint is not usable."""


class ConfigError(PlannerError):
    """A setting is outside its range."""


class ProviderError(PlannerError):
    """The requested onnxruntime execution provider is not available."""


class StateError(PlannerError, ValueError):
    """A measured state is incomplete, not finite or too old to plan from."""


class NotFiniteError(StateError):
    """A measured state holds NaN or an infinity: a sensor or its driver is broken."""


class GoalError(PlannerError, ValueError):
    """A goal is one to which the robot cannot go."""


class ObstacleError(PlannerError, ValueError):
    """An obstacle is not one that plans can keep clear of."""


class OutputError(PlannerError):
    """A file cannot be written."""


class ConflictError(PlannerError):
    """Another node commands the same joints."""
