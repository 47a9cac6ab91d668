"""Multi-feedback ranking (Pan et al., CIKM '23): who engages, who focuses, who glances past."""
