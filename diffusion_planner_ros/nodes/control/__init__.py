"""From plans to torques: control loop, replanning, stop, command publisher."""
