"""Trains a classifier of handwritten digits under MultiWorkerMirroredStrategy."""
