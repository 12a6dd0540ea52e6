# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Package for ROS 2 (ament_python) and for pip alike."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'diffusion_planner_ros'
# colcon build --symlink-install runs a link to this file, in a folder without the README
README = Path(__file__).resolve().with_name('README.md')

ROBOT = ['numpy>=1.24', 'onnxruntime>=1.18', 'PyYAML>=6']
# scipy: nearest neighbours and ranks of the experiments; no robot needs it
SIM = ['gymnasium>=1.0', 'h5py>=3.8', 'imageio>=2.30', 'imageio-ffmpeg>=0.5',
       'matplotlib>=3.7', 'mujoco>=3.2.5', 'scipy>=1.10', 'tqdm>=4.60', 'tyro>=0.9']
TRAIN = ['gymnasium>=1.0', 'h5py>=3.8', 'minari>=0.5.3', 'mujoco>=3.2.5', 'onnx>=1.17',
         'onnxscript>=0.7.2', 'scipy>=1.10', 'stable-baselines3>=2.4', 'tensorboard>=2.12',
         'torch>=2.9', 'tqdm>=4.60', 'tyro>=0.9']
ROS = ['ros-kilted-rclpy[fastrtps]', 'ros-common-interfaces']
# a page in the browser, 9 MB; it loads nothing from elsewhere
VIEW = ['viser>=1.1.1,<2']
# drives a browser in the tests of that page, 200 MB; the browser itself is the system's chromium
BROWSER = ['playwright>=1.40']
# policies that compare trains beside the planners; it asks for gymnasium 1.0.0
COMPARE = ['d3rlpy==2.8.1']
# what `import` reads: recordings of ros2 bag without ROS, LeRobot's Parquet; 180 MB that neither a
# robot nor training needs
RECORDINGS = ['pyarrow>=14', 'rosbags>=0.11.9']
# what `--mcap` writes with, for Foxglove and `ros2 bag`
MCAP = ['mcap>=1.5']
# the site of make docs
DOCS = ['furo>=2024.8', 'myst-parser>=4', 'sphinx>=8', 'sphinx-copybutton>=0.5']
# the linters of make lint
LINT = ['flake8>=6', 'flake8-blind-except', 'flake8-builtins', 'flake8-class-newline',
        'flake8-comprehensions', 'flake8-deprecated', 'flake8-docstrings', 'flake8-import-order',
        'flake8-quotes', 'mypy>=1.15', 'ruff>=0.6', 'types-PyYAML', 'types-setuptools',
        'types-tqdm']
TEST = ['colcon-common-extensions', 'diffusers>=0.30', 'pytest>=7', 'pytest-xdist>=3.8',
        'ruff>=0.6', *COMPARE, *MCAP, *RECORDINGS, *VIEW]


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """Return the files below a folder, to be installed under ``share``, subfolders kept."""
    # a launch file that ran from the checkout leaves its byte code beside it
    folders = [Path(folder), *(p for p in Path(folder).rglob('*')
                               if p.is_dir() and p.name != '__pycache__')]
    return [(f'share/{PACKAGE}/{f}', [str(p) for p in f.iterdir() if p.is_file()])
            for f in folders]


setup(
    name=PACKAGE,
    version='0.2.0',
    description='Plan with a diffusion model of trajectories on a robot, from data to torques.',
    long_description=README.read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    maintainer='diffusion_planner_ros developers',
    maintainer_email='maintainers@example.com',
    license='Apache-2.0',
    keywords=['robotics', 'ROS 2', 'diffusion model', 'trajectory planning', 'control'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['presets/*.yaml', 'robots/*/*.yaml', 'robots/*/*.urdf',
                            'robots/*/*.xml', 'experiments/reports/page.html',
                            'nodes/view/page/*.js']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *shared('launch'), *shared('config'), *shared('models')],
    install_requires=ROBOT,
    extras_require={
        'robot': ROBOT, 'sim': SIM, 'train': TRAIN, 'ros': ROS, 'view': VIEW,
        'compare': COMPARE, 'mcap': MCAP, 'recordings': RECORDINGS, 'test': TEST,
        'browser': BROWSER, 'docs': DOCS, 'lint': LINT},
    zip_safe=False,
    entry_points={'console_scripts': [
        f'diffusion_planner = {PACKAGE}.commands.__main__:main',
        f'planner = {PACKAGE}.nodes.__main__:planner',
        f'mujoco_bridge = {PACKAGE}.nodes.__main__:mujoco_bridge',
        f'recorder = {PACKAGE}.nodes.__main__:recorder',
        f'mcap_recorder = {PACKAGE}.nodes.__main__:mcap_recorder',
        f'viewer = {PACKAGE}.nodes.__main__:viewer']},
)
