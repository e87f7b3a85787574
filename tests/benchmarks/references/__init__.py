"""What Jan is measured against, and the small servers that measurements need: each a program of its own.

A program prints its address on one line when it answers, and ends when its stdin does.
"""
