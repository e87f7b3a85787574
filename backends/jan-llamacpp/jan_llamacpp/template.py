"""A look at a chat template before the engine runs it: the engine renders it while it loads, without a time limit.

What is looked at, and how, is the same for every engine: `jan_workers.template`.
"""

from __future__ import annotations

from jan_workers.template import HarmfulTemplate, check, environment, mistake

__all__ = ["HarmfulTemplate", "check", "environment", "mistake"]
