"""The backend `jan-runs`: the loop by which an assistant answers in a thread, wherever its runs are kept."""

from __future__ import annotations
