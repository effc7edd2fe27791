"""Classes of CPUs by how they compute integer products: a file a class."""
