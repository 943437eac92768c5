"""Tables in, tables out: scores, effects with their intervals, and verdicts; nothing here trains."""
