"""What Node is started by: `python -I -S …/start_node.py LIMITS NODE ARGUMENT…`. Standard library only.

It sets the limits, which Node cannot, moves the channel to the server off stdin and stdout, so that a stray write meets
the log, and becomes Node. Not on Windows.
"""

from __future__ import annotations

import json
import os
import sys

INCOMING, OUTGOING = 3, 4
"""What the channel is called in Node: to read, to write."""

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from jan_code.holding import limit

    limit(json.loads(sys.argv[1]), memory="RLIMIT_DATA")
    os.dup2(0, INCOMING)
    os.dup2(1, OUTGOING)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.execv(sys.argv[2], sys.argv[2:])
