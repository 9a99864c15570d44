"""What an agent says that a turn has used: agents tell it in four ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gitrelay.peers.acp.messages import items_of
from gitrelay.peers.events import count_of, text_of

_TOKENS: Final = (
    ("input", "inputTokens"),
    ("cached", "cachedReadTokens"),
    ("written", "cachedWriteTokens"),
    ("output", "outputTokens"),
)
_QUOTA: Final = (("input", "input_tokens"), ("cached", "cached_tokens"), ("output", "output_tokens"))


class Used:
    """Tokens and dollars so far. `cumulative`: the figures that are told for the whole conversation each time."""

    def __init__(self, cumulative: Sequence[str]) -> None:
        self.model: str | None = None
        self._cumulative = cumulative
        self._tokens: dict[str, int] = {}
        self._chunks: dict[str, int] = {}
        self._cost: float | None = None

    @property
    def usage(self) -> dict[str, str]:
        usage = {name: str(n) for name, n in self._tokens.items()}
        return usage if self._cost is None else {**usage, "cost_usd": f"{self._cost:.6f}"}

    def chunk(self, meta: object) -> None:
        """qwen tells it with its words, one model call each."""
        _add(meta, self._chunks)

    def cost(self, cost: object) -> None:
        """The cost of the conversation so far, from an update."""
        amount = cost.get("amount") if isinstance(cost, dict) and cost.get("currency") == "USD" else None
        if isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount < 1e9:  # 0: not known
            self._cost = float(amount)

    def turn(self, result: dict[str, Any]) -> None:
        """The end of a prompt: `usage`, or gemini's `_meta.quota`, or what came with the chunks."""
        counts: dict[str, int] = {}
        _add(result, counts)
        meta = result.get("_meta")
        quota = meta.get("quota") if isinstance(meta, dict) else None
        if not counts:
            for name, key in _QUOTA:
                if (n := count_of(quota, "token_count", key)) is not None and n >= 0:
                    counts[name] = n
        counts = counts or self._chunks
        self._chunks = {}
        for name, n in counts.items():
            self._tokens[name] = n if name in self._cumulative else self._tokens.get(name, 0) + n
        models = items_of(quota.get("model_usage") if isinstance(quota, dict) else None)
        told = [model for one in models if (model := text_of(one, "model")) and model != "auto"]
        self.model = told[-1][:120] if told else self.model


def _add(holder: object, counts: dict[str, int]) -> None:
    """Add what a `usage` tells to `counts`; its input may be told with or without what came from the cache."""
    usage = holder.get("usage") if isinstance(holder, dict) else None
    found = {name: n for name, key in _TOKENS if (n := count_of(usage, key)) is not None and n >= 0}
    cache = found.get("cached", 0) + found.pop("written", 0)
    total = count_of(usage, "totalTokens") or 0
    if "input" in found and total >= found["input"] + cache + found.get("output", 0):
        found["input"] += cache
    for name, n in found.items():
        counts[name] = counts.get(name, 0) + n
