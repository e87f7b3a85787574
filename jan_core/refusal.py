"""Why Jan does not start: one exception with four facts, for a person who has to mend it."""

from __future__ import annotations


class Refusal(Exception):
    """A start, or a command, that cannot go on.

    Args:
        asked: what was asked for, and where: `chat = "chat-lamacpp" (jan.toml, line 3)`.
        answers: which distribution and entry point answer to it; empty where none could.
        cause: what is wrong with it, one sentence.
        remedy: what to do: a command, an edit, "did you mean …".
    """

    def __init__(self, asked: str, cause: str, remedy: str, *, answers: str = "") -> None:
        super().__init__(asked, cause, remedy, answers)
        self.asked = asked
        self.answers = answers
        self.cause = cause
        self.remedy = remedy

    def facts(self) -> dict[str, str]:
        """The four facts by name."""
        return {"asked": self.asked, "answers": self.answers, "cause": self.cause, "remedy": self.remedy}

    def __str__(self) -> str:
        lines = [f"asked:   {self.asked}"]
        if self.answers:
            lines.append(f"answers: {self.answers}")
        lines += [f"cause:   {self.cause}", f"remedy:  {self.remedy}"]
        return "\n".join(lines)
