"""MNIST trained the way most tutorials do it: torchvision's data set, a DataLoader, a plain training loop.

`make bench` compares the pipeline with this script. It shares no code with the rest of the project.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

Loader = DataLoader[tuple[Tensor, Tensor]]


class Net(nn.Module):
    """784-256-128-64-10, ReLU, dropout 0.2: images [batch, 1, 28, 28] to log-probabilities [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 256)
        self.fc2 = nn.Linear(256, 128)
        self.fc3 = nn.Linear(128, 64)
        self.fc4 = nn.Linear(64, 10)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-probability of each digit."""
        x = x.view(x.shape[0], -1)
        x = self.dropout(functional.relu(self.fc1(x)))
        x = self.dropout(functional.relu(self.fc2(x)))
        x = self.dropout(functional.relu(self.fc3(x)))
        return functional.log_softmax(self.fc4(x), dim=1)


def make_loaders(raw: Path, root: Path, workers: int) -> tuple[Loader, Loader]:
    """Load the IDX files of `raw` through torchvision, which looks for them in `root`/MNIST/raw."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file in raw.glob("*-ubyte"):
        (folder / file.name).symlink_to(file.resolve())
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train_set = datasets.MNIST(root, train=True, transform=transform)
    test_set = datasets.MNIST(root, train=False, transform=transform)
    return (
        DataLoader(train_set, batch_size=64, shuffle=True, num_workers=workers),
        DataLoader(test_set, batch_size=1000, num_workers=workers),
    )


def train(model: Net, loader: Loader, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Train for one epoch and log every 100 batches."""
    model.train()
    for batch, (images, labels) in enumerate(loader):
        optimizer.zero_grad()
        loss = functional.nll_loss(model(images), labels)
        loss.backward()
        optimizer.step()
        if batch % 100 == 0:
            print(f"epoch {epoch}  batch {batch:3d}/{len(loader)}  loss {loss.item():.4f}")


def test(model: Net, loader: Loader) -> tuple[float, float]:
    """Return the mean loss and the accuracy (0 to 1)."""
    model.eval()
    loss, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            output = model(images)
            loss += functional.nll_loss(output, labels, reduction="sum").item()
            correct += int((output.argmax(dim=1) == labels).sum().item())
            count += len(labels)
    return loss / count, correct / count


def run(raw: Path, epochs: int, workers: int) -> dict[str, float]:
    """Train and test for `epochs`; return the seconds spent on each and the last loss and accuracy."""
    torch.manual_seed(42)
    result = {"train_seconds": 0.0, "test_seconds": 0.0}
    with tempfile.TemporaryDirectory() as root:
        train_loader, test_loader = make_loaders(raw, Path(root), workers)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=1e-6)
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            train(model, train_loader, optimizer, epoch)
            trained = time.perf_counter()
            loss, accuracy = test(model, test_loader)
            tested = time.perf_counter()
            result["train_seconds"] += trained - start
            result["test_seconds"] += tested - trained
            result |= {"loss": loss, "accuracy": accuracy}
            print(f"epoch {epoch}  test loss {loss:.4f}  accuracy {accuracy:.2%}  {tested - start:.1f} s")
    return result


def main() -> None:
    """Read the command line, train, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/raw"), help="folder of the four IDX files")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="loader processes (0: none, as by default)")
    parser.add_argument("--json", type=Path, help="write seconds, loss and accuracy to this file")
    arguments = parser.parse_args()
    result = run(arguments.data, arguments.epochs, arguments.workers)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
