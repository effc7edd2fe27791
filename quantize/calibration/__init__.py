"""What the calibration images do to every tensor, and the ranges that follow from it without another inference."""
