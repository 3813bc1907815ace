"""Σ weight · loss over several losses, as `train.loss` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, FiniteFloat, PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from digits.common.choices import names
from digits.training.loss import Loss

if TYPE_CHECKING:
    import torch

LOSSES = names("digits.losses")
WEIGHT: TypeAdapter[float] = TypeAdapter(Annotated[FiniteFloat, Field(gt=0)])


@dataclass(frozen=True)
class WeightedSum:
    """L = Σ λᵢ·Lᵢ, on what the network returns."""

    terms: Mapping[str, tuple[float, Loss]]
    """λᵢ and Lᵢ by the loss's name."""

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean over the batch, a scalar, as of any `Loss`."""
        import torch

        return torch.stack([w * loss(log_probabilities, labels) for w, loss in self.terms.values()]).sum()

    def each(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Every Lᵢ on its own, without its weight."""
        return {
            name: float(loss(log_probabilities, labels).detach()) for name, (_, loss) in self.terms.items()
        }


def _check(chosen: object) -> str | list[dict[str, Any]]:
    if isinstance(chosen, str) and chosen in LOSSES:
        return chosen
    names = ", ".join(LOSSES)
    if isinstance(chosen, str) or not isinstance(chosen, list) or not chosen:
        raise ValueError(
            f"allowed: {names}, or a list of terms such as {{name: {next(iter(LOSSES))}, weight: 1.0}}"
        )
    seen: list[object] = []
    for number, term in enumerate(chosen):
        where = f"term {number + 1}"
        if not isinstance(term, Mapping) or not {"name", "weight"} <= set(term):
            raise ValueError(f"{where} must have a name and a weight")
        if not isinstance(term["name"], str) or term["name"] not in LOSSES:
            raise ValueError(f"the name of {where} must be one of {names}")
        if term["name"] in seen:
            raise ValueError(f"{where} names {term['name']} again; give it one weight")
        seen.append(term["name"])
        try:
            WEIGHT.validate_python(term["weight"], strict=True)
        except ValidationError:
            raise ValueError(f"the weight of {where} must be a number above 0") from None
    return [dict(term) for term in chosen]


Chosen = Annotated[str | list[dict[str, Any]], PlainValidator(_check), PlainSerializer(lambda value: value)]
"""`train.loss`: a loss's name, or a list of terms; a term may have values of its own, which then count."""


def build(chosen: str | list[dict[str, Any]], losses: Mapping[str, Loss]) -> Loss | WeightedSum:
    """What `train.loss` says, with the values under `losses` where a term has none of its own.

    Raises:
        ValueError: a loss has no values, or a term has some that are not allowed.
    """
    if isinstance(chosen, str):
        return losses[chosen]
    terms = {}
    for term in chosen:
        name, own = term["name"], {k: v for k, v in term.items() if k not in ("name", "weight")}
        terms[name] = float(term["weight"]), _with_own(name, losses[name], own)
    return WeightedSum(terms)


def _with_own(name: str, loss: Loss, own: Mapping[str, object]) -> Loss:
    try:
        return type(loss).model_validate({**loss.model_dump(), **own})
    except ValidationError as error:
        mistake = error.errors()[0]
        key = ".".join(map(str, mistake["loc"]))
        raise ValueError(f"{key} of the term {name} is {mistake['input']!r}: {mistake['msg']}") from None
