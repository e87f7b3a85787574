"""The kernel of Jan: what each OpenAI endpoint is, and how installed modules are chosen, wired and served."""

__version__ = "0.1.0"
