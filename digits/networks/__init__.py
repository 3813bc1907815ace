"""What models are made of, a trained one as a file, and its answers for many images.

A network takes normalized images, float32 [batch, 1, 28, 28], and returns log-probabilities [batch, 10].
"""
