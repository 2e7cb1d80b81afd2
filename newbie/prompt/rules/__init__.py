"""The rules of the linter, a module per concern; table.py lists them.

A rule is a value (its code, what it finds, why that matters, an example and what to write instead) beside the function
that finds it. `python -m newbie lint --explain CODE` prints the value, and the tests hold every example to its rule.
"""
