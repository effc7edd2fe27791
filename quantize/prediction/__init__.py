"""The classes that a model predicts for images, with probabilities."""
