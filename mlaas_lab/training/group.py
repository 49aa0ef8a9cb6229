"""The processes that share each step's batch. One alone is the rule, and for it nothing here does anything.

A share keeps the sizes of the whole batch, so each process computes its part of the sum over learnt tokens that the
whole would be; summed, loss and gradients are those of one process, whoever got the longer chats.
"""

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor

from mlaas_lab.training.packing import Batch


class Group:
    """One process alone."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process logs, validates and saves."""
        return self.rank == 0

    def share(self, batch: Batch, *, step: int, seed: int) -> Batch:
        """The chats of `batch` that are this process's."""
        del step, seed
        return batch

    def gathered(self, loss: float, weights: Sequence[Tensor]) -> float:
        """The whole batch's loss from everybody's part, and in `weights` the whole batch's gradients."""
        del weights
        return loss

    def any(self, wish: bool) -> bool:
        """Whether anybody says so; all get the same answer."""
        return wish


class Peers(Group):
    """One of several processes that torch.distributed has brought together."""

    def __init__(self) -> None:
        """Who of how many this is."""
        self.rank = torch.distributed.get_rank()
        self.size = torch.distributed.get_world_size()

    def share(self, batch: Batch, *, step: int, seed: int) -> Batch:
        """Every so many chats; what dropout leaves out follows from step and process, so a resumed step is the same."""
        torch.manual_seed(hash((seed, step, self.rank)) & 0xFFFF_FFFF)
        tokens, wanted = batch.tokens[self.rank :: self.size], batch.wanted[self.rank :: self.size]
        return Batch(tokens=tokens, wanted=wanted, size=batch.size, learnt=batch.learnt)

    def gathered(self, loss: float, weights: Sequence[Tensor]) -> float:
        """Sums: in one call for all gradients, and one in double precision for the loss."""
        parts = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        summed = torch.cat([part.flatten() for part in parts])
        torch.distributed.all_reduce(summed)
        for weight, part in zip(weights, torch.split(summed, [part.numel() for part in parts]), strict=True):
            weight.grad = part.view_as(weight).clone()
        return self._sum(loss, weights[0].device)

    def any(self, wish: bool) -> bool:
        """Whether anybody says so."""
        return self._sum(float(wish), self._device()) > 0

    def agree(self, number: int) -> bool:
        """Whether all have the same number."""
        numbers = torch.tensor([number, -number], dtype=torch.float64, device=self._device())
        torch.distributed.all_reduce(numbers, op=torch.distributed.ReduceOp.MAX)
        return bool(numbers[0] == -numbers[1])

    def _sum(self, number: float, device: torch.device) -> float:
        total = torch.tensor(number, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(total)
        return total.item()

    def _device(self) -> torch.device:
        return torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
