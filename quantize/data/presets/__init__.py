"""The named preprocessings, one file each, and their registry."""
