"""Solvers (optimizers), one a file, chosen by `train.solver`; see `digits.training.solver.Solver`."""
