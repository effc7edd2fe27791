"""Files of strangers, made by the hundred thousand: see ``__main__``."""
