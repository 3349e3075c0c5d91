"""Beam pipelines, to be submitted to any runner."""
