# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner report``: the page of a run, or of two runs side by side."""

from pathlib import Path

import tyro

from ..output import report as print_report


def report(
    folders: tyro.conf.Positional[tuple[Path, ...]] = (),
    out: Path | None = None,
    json: bool = False,
) -> None:
    """
    Make the page of a run again from its files, or one of two runs side by side.

    The page is one file that needs no network. Folders are those that ``--out`` of walk, evaluate,
    robustness, diagnose, align, study, compare, benchmark, endure and soak names.

    :param folders: folder of a run, or the folders of two runs to compare.
    :param out: file to write; by default FOLDER/report.html, or comparison.html of two runs.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.reports.report_files import ReportFiles
    from ...experiments.reports.report_page import (
        comparison_page,
        PAGE_FILE,
        report_page,
        write_page,
    )

    if len(folders) not in (1, 2):
        raise ConfigError(f'folders is {", ".join(map(str, folders)) or "empty"}, expected one '
                          'folder of a run, or two to compare')
    runs = [ReportFiles.load(folder) for folder in folders]
    if len(runs) == 1:
        page, file = report_page(*runs), out or folders[0] / PAGE_FILE
    else:
        page, file = comparison_page(*runs), out or Path('comparison.html')
    write_page(page, file)
    print_report({'page': str(file), 'size_mb': file.stat().st_size / 1e6}, as_json=json)
