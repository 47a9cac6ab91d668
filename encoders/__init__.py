"""What every recommender of sequences is made of: item vectors, and encoders of histories.

An encoder reads the events of a history and gives a state after each; one file an encoder, with a `step` for a single
event where it is recurrent. Imports nn only.
"""
