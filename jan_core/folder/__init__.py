"""The root on disk: which names may become paths, and how a file is written so that it survives a power cut.

Every module that keeps its data in the root goes through these files, and through no other way of writing:

- `names`: ids as folder names, the same on every operating system.
- `replace`: a whole file, replaced in one step.
"""
