"""Whose turn it is: sendings are served in turn, whatever their size. Pure."""

from collections.abc import Mapping, Sequence


def order_due(due: Sequence[int], last_served: Mapping[int, int]) -> list[int]:
    """Return sendings in the order in which they are served: those never served first, then the longest ago.

    `last_served` maps a sending to a counter that grew with each batch.
    """
    return sorted(due, key=lambda sending_id: (last_served.get(sending_id, 0), sending_id))
