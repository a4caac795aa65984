"""A small level-triggered runtime: transport, API, caches, informers, queue, lease."""
