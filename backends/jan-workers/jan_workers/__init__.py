"""The backend `jan-workers`: loaded models, each in a worker process of its own, whatever engine runs it.

An engine is a backend that derives from `WorkerEngine` (the server's side) and a module that runs a `Child` (the
worker's side).
"""

from __future__ import annotations

from jan_workers.backend import Workers
from jan_workers.engine import WorkerEngine

__all__ = ["WorkerEngine", "Workers"]
