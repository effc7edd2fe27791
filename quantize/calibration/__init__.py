"""Statistics of every tensor over the calibration images, and the ranges that follow without another inference."""
