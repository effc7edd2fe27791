"""Post-training quantization of ONNX image classifiers for onnxruntime on CPU."""
