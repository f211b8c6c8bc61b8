"""The fuzzer of the keystore library: `fuzz/run`."""
