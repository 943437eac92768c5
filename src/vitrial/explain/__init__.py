"""What each model looks at, and how right that is; changes no run."""
