"""Why is int8 not faster? The time of a run, operator by operator.

``trace`` runs both models under onnxruntime's profiler; ``origins`` leads each node that ran back to the fp32 model,
and ``kinds`` tells what it computes. ``profile`` puts that together as ``operator_times``, which reports keep. From
these come ``speedups`` of the operators, the ``bottlenecks`` among them with what to do, and ``profile_text``.
"""
