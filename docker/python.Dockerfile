# Without a ROS installation: ROS 2 comes as Python wheels. How to build and run it:
# docs/how_to/containers.md
FROM python:3.12-slim

COPY . /source
RUN pip install --no-cache-dir '/source[sim,ros]'

WORKDIR /out
CMD ["diffusion_planner", "walk", "--no-video", "--no-view"]
