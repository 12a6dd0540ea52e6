# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page of one run, and that of two runs side by side; both are written here."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
import json
from pathlib import Path
from typing import Any

from ...files import written
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import UNPERTURBED
from ..execution import REPLANNED
from .episode_sections import (
    episode_table,
    key_figures,
    latency_charts,
    playback,
    recorded_charts,
    returns_chart,
    SHOWN,
)
from .html_text import flattened, folded, section, table
from .measure_sections import measure_sections
from .recorded_episode import EPISODE_FILE, RecordedEpisode
from .report_files import ReportFiles, SUMMARY_FILE
from .verb_sections import verb_charts

PAGE_FILE = 'report.html'
TEMPLATE = Path(__file__).with_name('page.html')
MAX_VIDEO = 10_000_000  # [bytes] of a video inside the page
KINDS = {'.png': 'image/png', '.gif': 'image/gif', '.mp4': 'video/mp4'}
TOLD = {
    'walk': 'The robot was simulated in one ROS 2 node and the planner ran in another one.',
    'evaluate': 'Episodes of the planner on its simulated robot; what they came to.',
    'robustness': 'The same episodes under changes of the robot and with late plans.',
    'diagnose': 'Whether the actions of plans give the states that they plan.',
    'align': 'A model learned from what its executed plans really did.',
    'study': 'Ways to align a model, side by side.',
    'compare': 'Methods and policies, trained on the same data with the same budget.',
    'benchmark': 'How long plans take, and the way from a state to its torque.',
    'endure': 'The robot in real time on a busy computer, and on a bench that plays hardware.',
    'soak': 'Hours of pushes, resets, pauses and changed parameters.'}
SETTINGS_DEFAULTS = {'planner': as_facts(PlannerConfig()), 'execution': as_facts(REPLANNED),
                     'perturbation': as_facts(UNPERTURBED)}


def write_report(out: Path, facts: Mapping[str, Any], episode: RecordedEpisode | None = None
                 ) -> dict[str, Any]:
    """
    Write facts, episode and page of a run.

    :param out: folder, made if it is not there.
    :param facts: with key ``run``; ``files`` names pictures and videos that are in the folder.
    :return: the facts as they are written: ``files`` names the files of the report, too.
    :raises OutputError: if one of them cannot be written.
    """
    names = [PAGE_FILE, SUMMARY_FILE, *([] if episode is None else [EPISODE_FILE])]
    facts = {**facts, 'files': [*(str(out / name) for name in names), *facts.get('files', ())]}
    out.mkdir(parents=True, exist_ok=True)
    with written(out / SUMMARY_FILE) as scratch:
        scratch.write_text(json.dumps(facts, indent=2) + '\n', encoding='utf-8')
    if episode is None:
        (out / EPISODE_FILE).unlink(missing_ok=True)  # of a run before
    else:
        episode.save(out)
    write_page(report_page(ReportFiles.load(out)), out / PAGE_FILE)
    return facts


def write_page(page: str, file: Path) -> None:
    """
    Write a page.

    :raises OutputError: if it cannot be written.
    """
    with written(file) as scratch:
        scratch.write_text(page, encoding='utf-8')


def report_page(files: ReportFiles) -> str:
    """Return the page of a run, which depends on its files alone."""
    run = files.run
    title = f'{run["verb"]}: {run["robot"]}'
    return _page(title, f'<header><h1>{escape(title)}</h1><p>{escape(TOLD[run["verb"]])}</p>'
                 f'{_identity(files)}</header><main>{_body(files)}</main>')


def comparison_page(first: ReportFiles, second: ReportFiles) -> str:
    """Return a page that shows two runs side by side, and first what differs."""
    names = {'A': first, 'B': second}
    title = ' against '.join(f'{files.run["verb"]} {files.run["robot"]}'
                             for files in names.values())
    differing = (section('Figures', _figure_differences(first.facts, second.facts),
                         'Of A, of B, and by how much B is larger.')
                 + section('Returns', returns_chart({
                     name: files.course.get('episodes', ()) for name, files in names.items()}))
                 + section('What was run otherwise', _run_differences(first.run, second.run)))
    columns = ''.join(f'<div class="column"><h2 class="run">{name}: '
                      f'{escape(str(files.folder))}</h2>{_identity(files)}{_body(files)}</div>'
                      for name, files in names.items())
    return _page(title, f'<header><h1>{escape(title)}</h1></header><main>{differing}'
                 f'<div class="columns">{columns}</div></main>', is_wide=True)


def _page(title: str, body: str, *, is_wide: bool = False) -> str:
    text = TEMPLATE.read_text(encoding='utf-8')
    for mark, content in (('WIDTH', 'wide' if is_wide else 'narrow'), ('TITLE', escape(title)),
                          ('BODY', body)):
        text = text.replace(f'<!-- {mark} -->', content)
    return text


def _body(files: ReportFiles) -> str:
    episode, rows = files.episode, files.course.get('episodes', ())
    replayed = ''
    if episode is not None:
        replayed = playback(episode)
    about = '' if episode is None else (
        f'The episode of seed {int(episode.seed)}. Drag to turn it. Lines show where plans would '
        'lead torso and feet or hands: the executed plan in orange, other candidates, where '
        'recorded, in grey. Some plans are kept: each stays, and the robot moves along it, until '
        'the next one that was.')
    returns = returns_chart({'episode': rows}) if len(rows) > 1 else ''
    return ''.join((
        key_figures(files.facts), section('Playback', replayed, about),
        section('Video', ''.join(map(_video, files.videos()))), verb_charts(files),
        measure_sections(files),
        section('Episodes in figures', f'<div class="charts">{charts}</div>' if (
            charts := returns + latency_charts(files.course)) else ''),
        section('One episode', f'<div class="charts">{recorded_charts(episode)}</div>',
                f'The last {SHOWN:g} s of seed {int(episode.seed)}. Point at a chart for its '
                'values, and at a name below it to see that line alone.')
        if episode is not None else '',
        episode_table(rows),
        section('Pictures', ''.join(map(_picture, files.pictures()))),
        section('Details', folded('All settings', _settings(files.run['settings']))
                + folded('All figures', table(('name', 'value'), list(_figures(
                    files.facts).items()))))))


def _identity(files: ReportFiles) -> str:
    """Say what was run with which model, version and machine."""
    run, machine = files.run, files.run['machine']
    versions = ', '.join(f'{name} {value}' for name, value in machine.items()
                         if name not in ('cpu', 'cores', 'system'))
    lines = {
        'command': run['command'] or f'{run["verb"]}, called from Python',
        'checkpoint': files.facts.get('checkpoint'), 'bundle': _bundles(files.facts),
        'mode': files.facts.get('mode'),
        'version': run['version'] + (f', commit {run["commit"]}' if run['commit'] else ''),
        'machine': f'{machine["cpu"]}, {machine["cores"]} cores, {machine["system"]}',
        'with': versions, 'when': run['date'].replace('T', ' ')}
    return '<dl>' + ''.join(f'<dt>{name}</dt><dd>{escape(value)}</dd>'
                            for name, value in lines.items() if value) + '</dl>'


def _bundles(facts: Mapping[str, Any]) -> str:
    """Name what plans, with the beginning of its hash; several columns have one each."""
    if 'columns' in facts:
        return ', '.join(f'{label}: {column["path"]} ({column["hash"][:12]})'
                         for label, column in facts['columns'].items())
    digest = f' ({facts["bundle_hash"][:12]})' if 'bundle_hash' in facts else ''
    return facts.get('bundle', '') + digest


def _settings(settings: Mapping[str, Any]) -> str:
    """Return a table of settings; those that are not the default are pointed out."""
    rows = [(f'{group}.{name}', value, SETTINGS_DEFAULTS.get(group, {}).get(name, value))
            for group, values in settings.items() for name, value in flattened(values).items()]
    return table(('setting', 'value'), [row[:2] for row in rows],
                 marked=[k for k, (_, value, default) in enumerate(rows) if value != default])


def _figures(facts: Mapping[str, Any]) -> dict[str, Any]:
    return flattened({key: value for key, value in facts.items()
                      if key not in ('run', 'course', 'files')})


def _figure_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    before, after = _figures(first), _figures(second)
    rows = [(name, before[name], after[name], after[name] - before[name])
            for name in before if _is_number(before[name]) and _is_number(after.get(name))]
    return table(('figure', 'A', 'B', 'B - A'), rows) if rows else ''


def _run_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    before, after = flattened(first), flattened(second)
    names = [name for name in dict.fromkeys((*before, *after))
             if before.get(name) != after.get(name) and name != 'date']
    return table(('what', 'A', 'B'), [(name.removeprefix('settings.'), before.get(name),
                                       after.get(name)) for name in names]
                 ) if names else '<p>Nothing: the same settings, version and machine.</p>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _data_uri(file: Path) -> str:
    return f'data:{KINDS[file.suffix]};base64,{b64encode(file.read_bytes()).decode()}'


def _picture(file: Path) -> str:
    name = escape(file.name)
    return f'<figure><figcaption>{name}</figcaption><img alt="{name}" src="{_data_uri(file)}">' \
           '</figure>'


def _video(file: Path) -> str:
    name = escape(file.name)
    if file.stat().st_size > MAX_VIDEO:
        return f'<p><a href="{name}">{name}</a> beside this page is too large to be in it.</p>'
    return f'<video controls loop muted src="{_data_uri(file)}"></video>'
