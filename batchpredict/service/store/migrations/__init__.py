"""The schema, as the steps that lead to it. One that has been released is never changed."""
