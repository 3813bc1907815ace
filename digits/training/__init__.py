"""How a network learns: the loop, its state, and what a loss, a solver and a schedule have to be.

A *solver* moves the weights (it builds an optimizer of PyTorch), a *loss* judges answers, a *weighted sum* is
several losses, and the *objective* is what is minimized: the loss, and what a teacher adds.
"""
