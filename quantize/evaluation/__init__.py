"""What a model gets right, image by image, and what two models' outcomes prove about each other."""
