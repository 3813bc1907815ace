"""What an answer is worth: probabilities that hold, images that are no digits, sets that have the digit.

All of it is fitted on images that were set aside from those that a network learnt from.
"""
