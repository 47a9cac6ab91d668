"""From the answers of a few to the satisfaction of everybody; inverse propensities undo who chose to answer."""
