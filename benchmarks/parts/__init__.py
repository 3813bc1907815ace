"""The parts of `make bench`, one a file. Each has `measure(options)`, which runs in a process of its own."""
