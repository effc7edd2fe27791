"""What images show: label lists, class folders, the devkit."""
