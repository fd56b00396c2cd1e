"""Programs as WebAssembly: an engine under wasmtime, and modules that carry a model to wherever WebAssembly runs."""
