"""What a user tells a robot that is sent to goals: goals, and obstacles."""
