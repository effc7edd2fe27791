"""Image labels: label lists, class folders, the devkit."""
