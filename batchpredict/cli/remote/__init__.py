"""`batchpredict jobs`, `models`, `versions` and `operations`: a client of the service, in gcloud's words."""
