"""Tables in, tables out: scores, effects with intervals, verdicts; nothing here trains.

Imports the leaves alone, so that predictions of any other program are compared just so.
"""
