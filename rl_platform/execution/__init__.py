"""Execution plans: typed flows of small control items over workers, learners and replay buffers."""
