"""Trains a classifier of handwritten digits under ParameterServerStrategy."""
