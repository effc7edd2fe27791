from __future__ import annotations

import numpy as np
import pytest

from quantize.data.labels.classes import wordnet_ids
from quantize.examination.labels import AS_GIVEN, alphabetical_order, devkit_order, label_orders


@pytest.mark.parametrize("order", [devkit_order, alphabetical_order])
def test_an_order_holds_every_class_once(order: object) -> None:
    assert callable(order)
    assert sorted(order()) == list(range(1000))
    assert list(order()) != list(range(1000))


def test_the_devkits_first_ground_truths_are_the_first_validation_images() -> None:
    # ILSVRC2012_val_00000001 to 5 are of the labels 65, 970, 230, 809 and 516; the ground truth says:
    assert [devkit_order()[number - 1] for number in (490, 361, 171, 822, 297)] == [65, 970, 230, 809, 516]
    assert wordnet_ids()[devkit_order()[0]] == "n02119789"


def test_each_order_undoes_its_mistake() -> None:
    labels = np.arange(0, 1000, 7)
    by_name = {order.name: order for order in label_orders(1000)}
    np.testing.assert_array_equal(by_name[AS_GIVEN].read(labels), labels)
    undone = {name: order.read for name, order in by_name.items()}
    np.testing.assert_array_equal(undone["one too large (counted from 1)"](labels + 1), labels)
    places = np.argsort(devkit_order())
    np.testing.assert_array_equal(undone["in the devkit's order (ILSVRC2012_ID, from 1)"](places[labels] + 1), labels)
    np.testing.assert_array_equal(undone["in the devkit's order, counted from 0"](places[labels]), labels)
    shifted = np.roll(labels, 1)  # each line holds the label of the line before
    np.testing.assert_array_equal(undone["those of the image one line before"](shifted), labels)


def test_labels_out_of_range_are_no_class_in_any_table() -> None:
    for order in label_orders(1000):
        labels = order.read(np.array([5000, 5000, 5000]))
        assert not ((labels >= 0) & (labels < 1000)).any()


def test_orders_of_imagenet_are_for_its_thousand_classes_only() -> None:
    assert not any("devkit" in order.name for order in label_orders(10))
