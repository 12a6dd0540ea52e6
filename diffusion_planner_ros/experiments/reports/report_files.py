# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The files that a report is made of: facts as JSON, an episode, pictures and videos."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from .recorded_episode import RecordedEpisode

SUMMARY_FILE = 'summary.json'
VERBS = ('walk', 'evaluate', 'robustness', 'diagnose', 'align', 'study', 'compare', 'benchmark',
         'endure', 'soak')
PICTURES, VIDEOS = ('.png', '.gif'), ('.mp4',)


@dataclass(frozen=True)
class ReportFiles:
    """What a folder of a run holds."""

    folder: Path
    facts: Mapping[str, Any]
    episode: RecordedEpisode | None

    @classmethod
    def load(cls, folder: Path) -> 'ReportFiles':
        """
        Read the folder that a verb wrote.

        :raises DatasetError: naming what was found there, and what was expected.
        """
        file = folder / SUMMARY_FILE
        remedy = f'name the folder --out of one of {", ".join(VERBS)}'
        if not file.is_file():
            found = (', '.join(sorted(f.name for f in folder.iterdir())[:10]) or 'an empty folder'
                     if folder.is_dir() else 'no folder of that name')
            raise DatasetError(f'{folder}: found {found}, expected {SUMMARY_FILE} of a run; '
                               f'{remedy}')
        try:
            facts = json.loads(file.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise DatasetError(f'{file}: not readable JSON ({error}), expected the facts of a '
                               f'run; {remedy}') from error
        run = facts.get('run') if isinstance(facts, dict) else None
        if not isinstance(run, dict) or run.get('verb') not in VERBS:
            found = ', '.join(list(facts)[:10]) if isinstance(facts, dict) else type(
                facts).__name__
            raise DatasetError(f"{file}: found {found or 'nothing'}, expected key 'run', which "
                               f'says what was run; {remedy} of this version')
        return cls(folder, facts, RecordedEpisode.load(folder))

    @property
    def run(self) -> Mapping[str, Any]:
        """What identifies the run, see ``run_facts``."""
        return self.facts['run']

    @property
    def course(self) -> Mapping[str, Any]:
        """Rows of the table of episodes and what was measured over time; empty without."""
        return self.facts.get('course', {})

    def pictures(self) -> list[Path]:
        """Return the pictures of the run that are there."""
        return self._of_kind(PICTURES)

    def videos(self) -> list[Path]:
        """Return the videos of the run that are there."""
        return self._of_kind(VIDEOS)

    def _of_kind(self, endings: tuple[str, ...]) -> list[Path]:
        # The folder may have been moved: by name, not by path.
        files = [self.folder / Path(name).name for name in self.facts.get('files', ())]
        return [file for file in files if file.suffix in endings and file.is_file()]
