"""Models timed in alternation, and what their times show."""
