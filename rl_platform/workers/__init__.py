"""What does the work of a run: rollout workers, replay buffers, the learner."""
