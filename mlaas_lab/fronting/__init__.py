"""The front: one loopback address for all endpoints of a user, where a model's name is the endpoint's.

    caller ── Caller ── Guard, routes, Directory ── Line ── the endpoint's server

It reads a request's head and the name of its model, and of an answer only where it ends; the bytes in between pass as
they come. What could be read in two ways is refused. It knows no task but the one that runs it, and imports no engine.
"""
