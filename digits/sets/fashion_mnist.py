"""Fashion-MNIST, as it was published."""

from typing import ClassVar

from digits.data.data_set import MinAccuracy, Published
from digits.data.download import RawFile


class FashionMnist(Published):
    """Pieces of clothing, by Zalando Research (https://github.com/zalandoresearch/fashion-mnist).

    The hashes are those of the files in Debian's package `dataset-fashion-mnist`, unpacked.
    """

    min_accuracy: MinAccuracy

    title = "Fashion-MNIST"
    thing = "a piece of clothing"
    license = "MIT"
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    prepared = False
    mean, std = 0.2860, 0.3530
    mirrors = (
        "file:///usr/share/datasets/fashion-mnist/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )
    files: ClassVar[tuple[RawFile, ...]] = (
        RawFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        RawFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        RawFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        RawFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    )
