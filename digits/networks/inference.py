"""A network's answers for many images."""

import torch
from torch import nn


@torch.inference_mode()
def log_probabilities(net: nn.Module, images: torch.Tensor, batch_size: int) -> torch.Tensor:
    """What `net` returns for `images` [n, ...], in evaluation mode, `batch_size` at a time: [n, classes]."""
    was_training = net.training
    net.eval()
    parts = [net(batch) for batch in torch.split(images, batch_size)]
    net.train(was_training)
    return torch.cat(parts)
