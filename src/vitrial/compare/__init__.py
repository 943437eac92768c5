"""Tables in, tables out: scores, effects with intervals, verdicts; nothing here trains."""
