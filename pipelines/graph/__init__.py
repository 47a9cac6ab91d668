"""The graph of stages: stages as plain data, what each depends on, and the engine that brings them up to date."""
