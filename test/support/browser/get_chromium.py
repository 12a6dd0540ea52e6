# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Install Chromium where that is allowed: ``python test/support/browser/get_chromium.py``.

Debian has it as a package, and root may install packages. Elsewhere it says what to do, and the
tests that need it are skipped.
"""

import os
import shutil
import subprocess

NAMES = ('chromium', 'chromium-browser', 'google-chrome')  # of the program, in Linux distributions
INSTALL_TIME = 600.0  # [s]


def chromium() -> str | None:
    """Return the path of the browser, ``None`` if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    """Install it, or say why not; this never fails, as the tests then tell the reason."""
    if found := chromium():
        print(f'{found} is installed')
        return
    if os.geteuid() != 0 or shutil.which('apt-get') is None:
        print('no Chromium: only root can install it, and with apt; sudo apt install chromium')
        return
    quiet = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    try:
        for words in (('update',), ('install', '--yes', '--no-install-recommends', 'chromium')):
            subprocess.run(['apt-get', '--quiet=2', *words], env=quiet, timeout=INSTALL_TIME,
                           check=True, stdout=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f'no Chromium: {error}')


if __name__ == '__main__':
    main()
