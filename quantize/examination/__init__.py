"""Checks of a setup before tuning. Each finding says what is wrong, how certain that is, and what to do."""
