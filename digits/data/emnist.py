"""What the splits of EMNIST have in common: one archive of all, and images that lie on their side."""

import gzip
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.data import idx
from digits.data.data_set import MinAccuracy, Packed, write
from digits.data.datasets import file_names
from digits.data.download import RawFile

PARTS = {"train": "train", "t10k": "test"}


class Emnist(Packed):
    """Handwritten digits and letters, by G. Cohen, S. Afshar, J. Tapson and A. van Schaik.

    (https://www.nist.gov/itl/products-and-services/emnist-dataset) All splits come in one archive of 562 MB,
    whose hash is known, not those of its files.
    """

    min_accuracy: MinAccuracy

    split: ClassVar[str]
    first: ClassVar[int] = 0
    """The label of the first class."""
    license = "as NIST states it (https://www.nist.gov/itl/products-and-services/emnist-dataset)"
    prepared = True
    mirrors = (
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    )
    files = (
        RawFile("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    )

    def unpack(self, packed: Path, folder: Path) -> None:
        """Take this split from the archive; set the images upright, and let labels begin at 0."""
        with zipfile.ZipFile(packed / self.files[0].name) as archive:
            for prefix, part in PARTS.items():
                images, labels = (
                    gzip.decompress(archive.read(f"gzip/{name}.gz"))
                    for name in file_names(f"emnist-{self.split}-{part}")
                )
                upright = idx.images(images, prefix).transpose(0, 2, 1)
                numbers = idx.labels(labels, prefix, self.first + len(self.classes))
                for name, array in zip(file_names(prefix), (upright, numbers - self.first), strict=True):
                    write(folder / name, idx.write(array.astype(np.uint8)))
