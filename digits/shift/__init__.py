"""How far answers hold outside the test set: on changed images, and on digits from elsewhere."""
