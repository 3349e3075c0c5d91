"""Trains a small classifier of handwritten digits, to be tuned."""
