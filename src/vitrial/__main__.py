"""`python -m vitrial` is the command `vitrial`."""

from vitrial.cli import app

app(prog_name="vitrial")
