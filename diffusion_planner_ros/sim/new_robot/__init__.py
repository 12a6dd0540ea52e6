"""The folder of a new robot, made of its MuJoCo model or URDF."""
