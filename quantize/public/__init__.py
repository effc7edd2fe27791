"""The Python API: the commands as functions, with models and images in memory as well as on disk.

Every function does what the command of the same name does. The examples run where the model and the images named are.
"""
