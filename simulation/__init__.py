"""The synthetic feed with known truth, and measurements of exported models by simulation.

A model arrives here as an exported folder, never as a class, so that anybody's model can be measured. The rooms build
on each other, and none imports what stands to its right:

    world <- exported <- counterfactual | ab_test | off_policy

`world` is the feed: people, items, behaviour, log and truth. `exported` loads recommenders and rankers and serves users
with them. The other three are programs, and know nothing of each other. `tests/imports_test.py` holds the walls.
"""
