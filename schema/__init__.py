"""The public GraphQL schema: one folder a domain, on top of the clients and services of `gateway`."""
