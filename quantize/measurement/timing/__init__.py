"""Models timed in alternation, and what the times prove."""
