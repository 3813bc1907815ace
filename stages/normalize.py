"""Turn data/raw/ into normalized tensors: data/normalized/{train,validation,test}.safetensors."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import save_file

from digits.common.about import METADATA, Data
from digits.common.files import replacing
from digits.common.stage import run
from digits.data import raw
from digits.data.datasets import split, to_tensors
from digits.data.sections import Normalize

RAW = Path("data/raw")
NORMALIZED = Path("data/normalized")


def main(values: Normalize) -> None:
    about = raw.read_about(RAW, Data.read().set)
    original, test = raw.read(RAW, raw.TRAIN, about), raw.read(RAW, raw.TEST, about)
    mean, std = values.statistics(original.images, about)
    print(f"{about.title}: {len(about.classes)} classes, mean {mean}, standard deviation {std}")
    training, validation = split(original, values.validation_size, values.validation_seed)
    for name, data in (("train", training), ("validation", validation), ("test", test)):
        path = NORMALIZED / f"{name}.safetensors"
        with replacing(path) as temporary:
            try:
                save_file(to_tensors(data, mean, std), temporary, {METADATA: about.text})
            except SafetensorError as error:  # as it tells of a full disk
                raise OSError(None, str(error), str(path)) from error
        print(f"{path}: {len(data.labels):,} images")


if __name__ == "__main__":
    run(main, Normalize.read, "numpy", "safetensors")
