"""The host side of `wasi:http/incoming-handler@0.2.0`: what a WASM component asks of its host, in Python.

`component` loads a component and hands it requests, `linking` binds its imports, `instance` is the state of one
request. The host functions are in one file per WASI package: `io`, `system`, `http`, `outgoing`. The contract is
the WIT of WASI 0.2.0 (https://github.com/WebAssembly/WASI), named in the same words.
"""
