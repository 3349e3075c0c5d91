"""Watches that this worker leads: each in a process of its own that looks for files and says what is to be scored.

    leader      takes watches under leases, renews, stops
    led         one of them: its process, its epochs' jobs, what is told to the store
    process     looks for files and keeps the ledger in the output folder, by `batchpredict.epochs`
    protocol    what the two say to each other

The process is contained as that of a job is. It computes nothing: each epoch is a job of the project, created by
the worker, which waits in the queue and runs as any other.
"""
