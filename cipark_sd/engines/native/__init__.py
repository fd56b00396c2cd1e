"""Programs as machine code through LLVM."""
