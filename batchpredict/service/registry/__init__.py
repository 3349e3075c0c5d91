"""Models, versions and operations: what they mean, between the REST methods and the store."""
