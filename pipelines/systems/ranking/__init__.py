"""The rankers: trained, held up against others, exported, and their section of the report."""
