"""Between versions of the default operator set: what changed in each, operator by operator."""
