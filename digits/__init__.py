"""A handwritten-digit classifier: parameters, data, training, evaluation, export and parity."""
