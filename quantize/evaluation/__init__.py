"""Which images a model gets right, and what the outcomes of two models prove about their difference."""
