"""``diffusion_planner robustness``: what a changed robot, pushes, noise and delay do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
import os
from pathlib import Path
from typing import Any

from ...files import written
from ...planning.planner_config import PlannerConfig
from ..output import print_text, progress, report


def robustness(
    planner: PlannerConfig,
    bundles: tuple[str, ...] | None = None,
    only: tuple[str, ...] | None = None,
    episodes: int = 20,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('robustness.png'),
    json: bool = False,
) -> None:
    """
    Run episodes of Walker2D, in process, under changes of the robot and with late plans.

    Prints a table of returns and falls in Markdown, and draws it.

    :param planner: how to plan.
    :param bundles: folders of model bundles, as PATH or LABEL=PATH; the shipped one by default.
    :param only: run the conditions whose names contain one of these words; all by default.
    :param episodes: number of episodes per bundle and condition; their seeds count up from
        FIRST_SEED.
    :param first_seed: seed of the first episode's initial state, pushes and torque noise.
    :param processes: episodes at a time; all cores by default.
    :param out: PNG file to write; its folder must be there.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments import closed_loop as evaluation
    from ...experiments.robustness_conditions import select
    from ...planning.bundle import Bundle

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    if out.suffix != '.png' or not out.parent.is_dir() or out.is_dir():
        raise ConfigError(f'{out}: expected the name of a PNG file, NAME.png, in a folder that is '
                          'there')
    conditions = select(only)
    paths = _labelled(bundles)
    loaded = {label: Bundle.load(path, provider=planner.provider, n_threads=planner.n_threads)
              for label, path in paths.items()}
    for bundle in loaded.values():
        evaluation.check_robot(bundle)
        for _, execution in conditions.values():
            execution.check_horizon(bundle.horizon)
    seeds = range(first_seed, first_seed + episodes)
    facts: dict[str, dict[str, Any]] = {}
    total = len(conditions) * len(paths) * episodes
    with (progress('walking', total, unit='episodes') as advance,
          evaluation.open_pool(processes or os.cpu_count() or 1) as pool):
        for name, (perturbation, execution) in conditions.items():
            facts[name] = {}
            for label, path in paths.items():
                results = []
                for result, _ in evaluation.run_episodes(
                        path, planner, seeds, pool=pool, execution=execution,
                        perturbation=perturbation):
                    results.append(result)
                    advance(1, now=name, ret=f'{result.episode_return:.0f}')
                facts[name][label] = evaluation.summarize(results, loaded[label].robot.name)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.robustness_plot import draw_robustness

    with written(out) as scratch:
        draw_robustness(facts, f'Walker2D, {episodes} episodes under each condition', scratch)
    if json:
        report({'picture': str(out), 'first_seed': first_seed, 'planner': asdict(planner),
                'bundles': {label: {'path': str(paths[label]), 'hash': bundle.hash}
                            for label, bundle in loaded.items()},
                'conditions': facts}, as_json=True)
    else:
        print_text(table(facts))


def _labelled(words: Sequence[str] | None) -> dict[str, Path]:
    """
    Return the folders of bundles by their labels.

    :raises ConfigError: for a label or a path that is missing, or a label that comes twice.
    """
    from ...errors import ConfigError
    from ...share import share_file

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


def table(facts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """
    Write returns and falls as a table in Markdown.

    :param facts: what ``summarize`` says, by condition and by the bundle's label.
    """
    labels = list(next(iter(facts.values())))
    heads = [head for label in labels for head in (f'{label}: return', 'falls')]
    lines = [['condition', *heads], ['---'] * (1 + len(heads))]
    for name, by_label in facts.items():
        cells = [name]
        for summary in by_label.values():
            stderr = summary['return_stderr']
            cells += [f'{summary["return_mean"]:,.0f}'
                      + (f' +- {stderr:,.0f}' if stderr is not None else ''),
                      f'{summary["falls"]} of {summary["episodes"]}']
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
