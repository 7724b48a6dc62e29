"""What glibc and musl know about a thread: descriptor, keys, values, cached stacks."""
