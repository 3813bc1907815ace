"""What an answer is worth: probabilities that hold, images of nothing known, sets that have the class.

All of it is fitted on images that were set aside from those that a network learnt from.
"""
