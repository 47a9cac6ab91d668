"""Satisfaction, after SAQRec (Zhang et al., CIKM '24): who answers, what they would answer, and what to recommend then.

Steps, each in a folder of its own: base recommender -> propensities -> unbiased satisfaction -> scores -> alignment.
"""
