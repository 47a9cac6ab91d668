"""The satisfaction model: trained, measured, taken apart, and its section of the report."""
