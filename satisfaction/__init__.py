"""Learns from a few answers how satisfied everybody is, and recommends by it: SAQRec (Zhang et al., CIKM '24).

Steps, each in a folder of its own: base recommender -> propensities -> unbiased satisfaction -> scores -> alignment.
"""
