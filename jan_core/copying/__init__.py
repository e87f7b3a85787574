"""Copying what one module holds of an endpoint into another: in order, as it is, and never over what differs.

Every object of the source is compared with the one of its id in the target: the same is passed over, a missing one is
put there, and one that differs is left and told. So a copy that broke off is made again and goes on where it stopped,
and one that is made twice changes nothing. Pages are read from both sides and nothing is kept, whatever there is.

Where both sides have their objects as lines (`export` and `restore` of the endpoint), they are copied many at once,
with the fields that the API does not know. Runs are copied with their steps, and only those that have ended.
"""

from __future__ import annotations

from jan_core.copying.copying import ENDPOINTS, Copying
from jan_core.copying.told import Told

__all__ = ["ENDPOINTS", "Copying", "Told"]
