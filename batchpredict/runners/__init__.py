"""Runners: one job, on the engine that is asked for."""
