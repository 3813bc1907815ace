"""Turn data/raw/ into normalized tensors: data/normalized/{train,validation,test}.safetensors."""

from pathlib import Path

from safetensors.numpy import save_file

from digits.common.files import replacing
from digits.common.stage import run
from digits.data.datasets import check_statistics, read_raw, split, to_tensors
from digits.data.sections import Normalize

RAW = Path("data/raw")
NORMALIZED = Path("data/normalized")


def main(values: Normalize) -> None:
    original, test = read_raw(RAW, "train"), read_raw(RAW, "t10k")
    check_statistics(original.images, values.mean, values.std)
    training, validation = split(original, values.validation_size, values.validation_seed)
    for name, data in (("train", training), ("validation", validation), ("test", test)):
        path = NORMALIZED / f"{name}.safetensors"
        with replacing(path) as temporary:
            save_file(to_tensors(data, values.mean, values.std), temporary)
        print(f"{path}: {len(data.labels):,} images")


if __name__ == "__main__":
    run(main, Normalize.read, "numpy", "safetensors")
