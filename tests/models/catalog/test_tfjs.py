from __future__ import annotations

import base64

import numpy as np
import pytest

from quantize.models.catalog.tfjs import exported_bytes, exported_object, weights_of

SCRIPT = (
    '!function(e){e()}(function(){({1:[function(a,n,i){n.exports={name:"a,b:c{",on:!0,off:!1,none:null,'
    "deep:{list:[1,-.5,2e-3,{k:.25}]}}},{}]},{},[1])});"
)
MANIFEST = {
    "weightsManifest": [
        {
            "paths": ["one"],
            "weights": [
                {
                    "name": "a/kernel",
                    "shape": [2, 2],
                    "dtype": "float32",
                    "quantization": {"min": -1.0, "scale": 0.5, "dtype": "uint8"},
                },
                {"name": "a/bias", "shape": [1], "dtype": "float32"},
            ],
        }
    ]
}
CONTENT = bytes([0, 1, 2, 255]) + np.array([1.5], "<f4").tobytes()


def test_the_object_that_a_script_exports_is_read() -> None:
    assert exported_object(SCRIPT) == {
        "name": "a,b:c{",
        "on": True,
        "off": False,
        "none": None,
        "deep": {"list": [1, -0.5, 0.002, {"k": 0.25}]},
    }


def test_the_bytes_that_a_script_exports_are_read() -> None:
    text = base64.b64encode(CONTENT).decode()
    assert exported_bytes(f'function(e,t,n){{t.exports="{text}"}}') == CONTENT


@pytest.mark.parametrize("read", [exported_object, exported_bytes])
def test_a_script_that_exports_nothing_is_refused(read: object) -> None:
    with pytest.raises(ValueError, match="exports no"):
        read("var a = 1")  # type: ignore[operator]


def test_weights_of_eight_bits_get_their_values() -> None:
    weights = weights_of(MANIFEST, CONTENT)
    np.testing.assert_array_equal(weights["a/kernel"], np.array([[-1, -0.5], [0, 126.5]], np.float32))
    np.testing.assert_array_equal(weights["a/bias"], np.array([1.5], np.float32))


def test_more_bytes_than_the_manifest_names_are_refused() -> None:
    with pytest.raises(ValueError, match="9 bytes of weights where the manifest has 8"):
        weights_of(MANIFEST, CONTENT + b"x")
