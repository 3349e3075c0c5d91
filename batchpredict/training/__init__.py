"""Training jobs: the cluster that a trainingInput asks for, its replicas, and the search for hyperparameters."""
