"""Implementations that are wrong in one thing each, and the clause that has to notice."""
