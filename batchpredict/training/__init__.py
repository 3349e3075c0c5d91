"""A training job as work for a runner: its cluster, the gang that hosts it, the program of a replica, tuning."""
