"""Time models in alternation, and judge the times."""
