"""Break runs off in every way there is, go on with them, and compare the result with an unbroken run's."""
