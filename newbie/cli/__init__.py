"""The doors of the command line. Each translates what was typed into a Request and prints what came back."""
