"""The only folder that sees more than one stage: the graph of stages, the choice of the weight, the report."""
