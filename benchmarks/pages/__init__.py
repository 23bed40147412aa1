"""The three pages of the console, served by the gateway and by others from the same upstream stubs.

`run` drives them, `contestants` starts them, `stubs` answers for DynamoDB, Loki and Prometheus with the rows of
`rows`; `handwritten`, `usual` and `mercurius/` are what the gateway is compared with.
"""
