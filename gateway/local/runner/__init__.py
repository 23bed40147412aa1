"""The stand-in for SpinKube: serves deployed functions over HTTP, each in a process of its own.

`data` answers the callers of functions, `control` is the Kubernetes API and the metrics, `deployments` holds what
is deployed, `pool` and `worker` are the runner's side of the processes. `wasm_worker` (with `wasm/`) and
`python_worker` are what runs in them. Images are read through `gateway.local.registry`.
"""
