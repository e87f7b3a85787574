"""Servers that Jan is put in front of: one that does what it is told, faults included, and llama.cpp's own."""
