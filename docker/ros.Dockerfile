# The package in a workspace of ROS 2 Jazzy. How to build and run it: docs/how_to/containers.md
FROM ros:jazzy-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /workspace

# What package.xml asks for. rviz2 is left out, because a container has no screen.
COPY package.xml src/diffusion_planner_ros/
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src --default-yes \
        --dependency-types exec --skip-keys rviz2 \
    && rm -rf /var/lib/apt/lists/*

# What ROS does not have, in a virtual environment that sees ROS.
RUN python3 -m venv --system-site-packages /venv \
    && /venv/bin/pip install --no-cache-dir onnxruntime mujoco gymnasium

# The nodes run with the Python that runs colcon.
COPY . src/diffusion_planner_ros
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && /venv/bin/python "$(command -v colcon)" build --packages-select diffusion_planner_ros

# What Ctrl-C sends: ros2 launch then ends its nodes, and these stop the robot.
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/bash", "-c", "source /workspace/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "diffusion_planner_ros", "simulation.launch.py"]
