"""Episodes of one or more bundles under many conditions, and the table of what they came to."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...planning.bundle import Bundle
from ...planning.planner_config import PlannerConfig
from ...share import share_file
from ..closed_loop import check_robot, run_episodes, summarize
from ..markdown import table
from ..progress import Progress, silent
from .robustness_conditions import Condition

Summaries = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What ``summarize`` says, by condition and by the bundle's label."""


def labelled(words: Sequence[str] | None) -> dict[str, Path]:
    """
    Return the folders of bundles by their labels.

    :param words: PATH or LABEL=PATH each; the shipped bundle without any.
    :raises ConfigError: for a label or a path that is missing, or a label that comes twice.
    """
    if not words:
        return {'shipped': share_file('models/walker2d')}
    paths: dict[str, Path] = {}
    for word in words:
        label, separator, path = word.partition('=')
        if not label or (separator and not path):
            raise ConfigError(f"bundles has '{word}', expected PATH or LABEL=PATH")
        if label in paths:
            raise ConfigError(f"bundles has '{label}' twice, expected labels that differ, as "
                              'LABEL=PATH')
        paths[label] = Path(path or label)
    return paths


def check_conditions(bundles: Mapping[str, Bundle], conditions: Mapping[str, Condition]) -> None:
    """
    Refuse before anything runs what cannot be simulated.

    :raises RobotError: for a bundle of another robot than the simulated one.
    :raises ConfigError: for a condition that plans do not outlast.
    """
    for bundle in bundles.values():
        check_robot(bundle)
        for _, execution in conditions.values():
            execution.check_horizon(bundle.horizon)


def measure_robustness(bundles: Mapping[str, Bundle], config: PlannerConfig,
                       conditions: Mapping[str, Condition], seeds: Sequence[int], *,
                       pool: ProcessPoolExecutor, progress: Progress = silent) -> Summaries:
    """
    Run one episode for every seed under every condition with every bundle.

    :param bundles: by their label.
    :param conditions: by their name.
    :param pool: worker processes.
    :param progress: is told of every episode.
    """
    facts: dict[str, dict[str, Mapping[str, Any]]] = {}
    total = len(conditions) * len(bundles) * len(seeds)
    with progress('walking', total, unit='episodes') as advance:
        for name, (perturbation, execution) in conditions.items():
            facts[name] = {}
            for label, bundle in bundles.items():
                results = []
                for result, _ in run_episodes(bundle.path, config, seeds, pool=pool,
                                              execution=execution, perturbation=perturbation):
                    results.append(result)
                    advance(1, now=name, ret=f'{result.episode_return:.0f}')
                facts[name][label] = summarize(results, bundle.robot.name)
    return facts


def robustness_table(facts: Summaries) -> str:
    """Write returns and falls as a table in Markdown, two columns for every bundle."""
    labels = list(next(iter(facts.values())))
    head = ['condition', *(cell for label in labels for cell in (f'{label}: return', 'falls'))]
    rows = []
    for name, by_label in facts.items():
        row = [name]
        for summary in by_label.values():
            stderr = summary['return_stderr']
            row += [f'{summary["return_mean"]:,.0f}'
                    + (f' +- {stderr:,.0f}' if stderr is not None else ''),
                    f'{summary["falls"]} of {summary["episodes"]}']
        rows.append(row)
    return table(head, rows)
