"""Kuzushiji-MNIST, as it was published."""

from typing import ClassVar

from digits.data.data_set import MinAccuracy, Packed
from digits.data.download import RawFile


class Kmnist(Packed):
    """Cursive Japanese characters, by the ROIS-DS Center for Open Data in the Humanities.

    (http://codh.rois.ac.jp/kmnist/) The hashes are those of the packed files, as they are handed out.
    """

    min_accuracy: MinAccuracy

    title = "Kuzushiji-MNIST"
    thing = "a character"
    license = "CC BY-SA 4.0"
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    prepared = False
    mirrors = (
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    )
    files: ClassVar[tuple[RawFile, ...]] = (
        RawFile(
            "train-images-idx3-ubyte.gz",
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        RawFile(
            "train-labels-idx1-ubyte.gz",
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
        RawFile(
            "t10k-images-idx3-ubyte.gz",
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        RawFile(
            "t10k-labels-idx1-ubyte.gz",
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    )
