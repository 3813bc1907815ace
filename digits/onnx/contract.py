"""The names of what goes into an exported model and what comes out; docs/onnx.md has the whole contract."""

INPUT, OUTPUT = "image", "log_probabilities"
FAMILIARITY = "familiarity"
"""The second output, where the classifier knows what is familiar."""
THRESHOLD = "familiarity_threshold"
"""In the metadata: an image whose familiarity is below is refused."""
