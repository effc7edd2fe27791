"""Is the set-up right, before anything is tuned? Each finding says what, how sure, and what to do."""
