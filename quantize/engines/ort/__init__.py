"""onnxruntime's own quantizer, ``quantize_static``, as an engine."""
