"""The view of an ONNX graph that all rooms share."""
