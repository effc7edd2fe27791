"""The one view of an ONNX graph."""
