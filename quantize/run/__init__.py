"""A tuning run: from a request to two int8 models and a report."""
