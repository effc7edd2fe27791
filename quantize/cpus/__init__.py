"""Classes of CPUs by how they compute integer products, one file each."""
