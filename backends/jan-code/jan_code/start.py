"""What a process of code is started with: `python -I -S …/jan_code/start.py`. Standard library only.

Python is told to look at nothing of the user's, and finds `jan_code` only for as long as this takes.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from jan_code.child import main

    del sys.path[0]
    main()
