"""Which networks there are, and the one way to make one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from networks.convnext import convnext_tiny
from networks.densenet import densenet121
from networks.efficientnet import efficientnet_b0
from networks.inception import inception_v3
from networks.mobilenet_v2 import mobilenet_v2
from networks.mobilenet_v3 import mobilenet_v3
from networks.network import Network, Tensor
from networks.resnet import resnet18, resnet50
from networks.shufflenet import shufflenet_v2
from networks.vgg import vgg11
from networks.vit import vit_tiny

_SEED = 1978


@dataclass(frozen=True)
class Architecture:
    """A network to make: what people call it, its builder, its operator set, and the pixels of its input's side."""

    title: str
    add: Callable[[Network], Tensor]
    opset: int = 13
    side: int = 224

    def make(self, images: NDArray[np.float32]) -> ModelProto:
        """Return the model with weights that suit these images, float32 (N, 3, side, side), preset ``imagenet``."""
        network = Network(images, opset=self.opset, seed=_SEED)
        return network.model(self.add(network))


ARCHITECTURES: Mapping[str, Architecture] = {
    "resnet18": Architecture("ResNet-18", resnet18),
    "resnet50": Architecture("ResNet-50", resnet50),
    "mobilenet_v2": Architecture("MobileNetV2", mobilenet_v2),
    "mobilenet_v3": Architecture("MobileNetV3-Large", mobilenet_v3, opset=14),
    "efficientnet_b0": Architecture("EfficientNet-B0", efficientnet_b0),
    "densenet121": Architecture("DenseNet-121", densenet121),
    "shufflenet_v2": Architecture("ShuffleNetV2", shufflenet_v2),
    "inception_v3": Architecture("Inception-v3", inception_v3, side=299),
    "vit_tiny": Architecture("ViT-Tiny, opset 17", vit_tiny, opset=17),
    "vit_tiny_opset13": Architecture("ViT-Tiny, opset 13", vit_tiny),
    "convnext_tiny": Architecture("ConvNeXt-Tiny", convnext_tiny, opset=17),
}

LARGE: Mapping[str, Architecture] = {"vgg11": Architecture("VGG-11", vgg11)}
"""Of several hundred MB: for memory and disk, and made only by name."""
