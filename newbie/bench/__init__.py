"""`python -m newbie bench`: what is fast, what is not, and how far the machine's limit is.

What is compared is measured in one run, taking turns; results are JSON files, and `bench report` makes the tables and
plots of benchmarks/README.md from them.
"""
