"""What computes the model, one file for each runtime, chosen by `verify.runtimes`; each is a `Runtime`.

Files that begin with an underscore are what several have in common. A runtime imports its package only when
it loads a model: what is not chosen need not be installed.
"""
