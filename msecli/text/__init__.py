"""Delimited text: its head, its records, its numbers, and what is wrong with it."""
