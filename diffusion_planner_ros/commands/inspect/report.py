"""``diffusion_planner report``: the page of a run, or of two runs side by side."""

from pathlib import Path
from typing import Annotated

import tyro

from ..output import report as print_report


def report(
    folder: Annotated[Path, tyro.conf.Positional],
    other: Annotated[Path | None, tyro.conf.Positional] = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """
    Make the page of a run again from its files, or one of two runs side by side.

    The page is one file that needs no network. Folders are those that ``--out`` of walk, evaluate,
    robustness, diagnose, align and study names.

    :param folder: of the run.
    :param other: folder of another run, to be compared with the first one.
    :param out: file to write; by default FOLDER/report.html, or comparison.html of two runs.
    :param json: print the report as JSON.
    """
    from ...experiments.reports.page import (
        comparison_page,
        PAGE_FILE,
        report_page,
        write_page,
    )
    from ...experiments.reports.report_files import ReportFiles

    files = ReportFiles.load(folder)
    if other is None:
        page, file = report_page(files), out or folder / PAGE_FILE
    else:
        page = comparison_page(files, ReportFiles.load(other))
        file = out or Path('comparison.html')
    write_page(page, file)
    print_report({'page': str(file), 'size_mb': file.stat().st_size / 1e6}, as_json=json)
