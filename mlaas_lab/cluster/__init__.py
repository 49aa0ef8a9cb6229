"""What the executor `ray` is made of: the Jobs API, what travels to the cluster, and how its lines come home.

Nothing here imports Ray: all goes over HTTP, so that every call has an end, and the user's machine needs no Ray.
"""
