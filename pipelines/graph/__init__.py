"""What runs a pipeline: stages as plain data, what each is made of, and the engine that brings them up to date."""
