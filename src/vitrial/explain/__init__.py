"""What each model looks at, and how right that is; changes no run.

Imports all but studies that run, the report and the command line: it reads runs from the store.
"""
