# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Print what the fault tests saw, in Markdown: python test/support/fault_report.py."""

import json
from pathlib import Path
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

from diffusion_planner_ros.experiments.markdown import table

COLUMNS = ('fault', 'time to stop [ms]', 'sent', 'reported', 'recovery')


def main():
    folder = Path(__file__).resolve().parents[1] / 'faults'
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / 'results.xml'
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', f'--junitxml={results}', '-o', 'junit_family=xunit1',
             *map(str, sorted(folder.glob('test_*.py'))), *sys.argv[1:]],
            stdout=sys.stderr, check=False)
        tree = ElementTree.parse(results)
    rows = [json.loads(found.get('value'))
            for found in tree.iterfind('.//property[@name="fault"]')]
    print(table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows]))
    sys.exit(done.returncode)


if __name__ == '__main__':
    main()
