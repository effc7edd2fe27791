"""What a model says about images: the classes that it names, with probabilities."""
