"""A feed-forward of many experts of which each token takes a few: the router, the experts, the one that all share.

Sources: Qwen3 (arXiv 2505.09388; Qwen3-MoE in `transformers`) for the soft-max router, whose chosen probabilities are
scaled to sum to one; DeepSeek-V3 (arXiv 2412.19437, section 2.1.2) for the sigmoid router with groups and a bias that
chooses but does not weigh, as Ling 2 and LLaDA 2 have it. A token's rows are sorted by expert, so that each expert is
one product over its rows, without a loop over tokens and without asking the device how many there are. Left out:
training (losses that balance the experts), dividing experts among devices, 8-bit experts.

Shapes: B batch, T rows of it, R = B·T rows, D model width, E experts, C experts that a row takes, S = R·C, F width of
an expert, N groups.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.swiglu.reference import swiglu
from model.network.config import Experts

TINY = 1e-20  # as the makers' code adds it to a sum of sigmoids
NEVER = float("-inf")


class SharedExpert(nn.Module):
    """A gated feed-forward that every row takes."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(d_model, 2 * width, bias=False)
        self.mlp_out = nn.Linear(width, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp_out(swiglu(self.gate_up(x)))


class Mixture(nn.Module):
    """Parameters: router (E × D), router_bias (E), experts_gate_up (E × 2F × D), experts_out (E × D × F), shared.*."""

    def __init__(self, d_model: int, experts: Experts) -> None:
        super().__init__()
        self.config = experts
        num, width = experts.num_experts, experts.d_ff
        self.router = nn.Linear(d_model, num, bias=False)
        self.router_bias = nn.Parameter(torch.zeros(num)) if experts.router == "sigmoid" else None
        self.experts_gate_up = nn.Parameter(torch.empty(num, 2 * width, d_model))
        self.experts_out = nn.Parameter(torch.empty(num, d_model, width))
        self.shared = SharedExpert(d_model, experts.d_shared) if experts.d_shared else None

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_RD = x_BTD.flatten(0, -2)
        chosen_RC, weight_RC = self.route(x_RD)
        expert_S, order_S = chosen_RC.flatten().sort(stable=True)
        # Where each expert's rows end; found on the device, so nobody waits for it.
        all_E = torch.arange(self.config.num_experts, device=x_RD.device)
        end_E = torch.searchsorted(expert_S, all_E, right=True, out_int32=True)
        rows_SD = x_RD[order_S // chosen_RC.shape[1]]
        grown_SF = swiglu(F.grouped_mm(rows_SD, self.experts_gate_up.transpose(1, 2), offs=end_E))
        sorted_SD = F.grouped_mm(grown_SF, self.experts_out.transpose(1, 2), offs=end_E)
        found_SD = torch.empty_like(sorted_SD)
        found_SD[order_S] = sorted_SD
        found_RCD = found_SD.unflatten(0, chosen_RC.shape)
        mixed_RD = (found_RCD.float() * weight_RC.unsqueeze(-1)).sum(1).to(x_RD.dtype)
        mixed_BTD = mixed_RD.view(x_BTD.shape)
        return mixed_BTD if self.shared is None else mixed_BTD + self.shared(x_BTD)

    def route(self, x_RD: Tensor) -> tuple[Tensor, Tensor]:
        """Each row's experts (R, C) and what their answers count (R, C), computed in fp32."""
        logit_RE = F.linear(x_RD.float(), self.router.weight.float())
        score_RE = logit_RE.softmax(-1) if self.router_bias is None else logit_RE.sigmoid()
        wish_RE = score_RE if self.router_bias is None else score_RE + self.router_bias.float()
        if self.config.num_groups > 1:
            wish_RE = self._in_best_groups(wish_RE)
        chosen_RC = wish_RE.topk(self.config.num_chosen).indices
        weight_RC = score_RE.gather(1, chosen_RC)
        if self.config.sums_to_one:
            weight_RC = weight_RC / (weight_RC.sum(-1, keepdim=True) + TINY)
        return chosen_RC, weight_RC * self.config.scale

    def _in_best_groups(self, wish_RE: Tensor) -> Tensor:
        """The wishes, none for experts of other groups than the best; a group is as good as its two best experts."""
        wish_RNE = wish_RE.unflatten(1, (self.config.num_groups, -1))
        quality_RN = wish_RNE.topk(2).values.sum(-1)
        best_RN = quality_RN.topk(self.config.num_chosen_groups).indices
        is_best_RN = torch.zeros_like(quality_RN, dtype=torch.bool).scatter(1, best_RN, True)
        return wish_RNE.masked_fill(~is_best_RN.unsqueeze(-1), NEVER).flatten(1)
