"""Multi-feedback ranking (Pan et al., CIKM '23): in which order a user is shown the items that retrieval has chosen.

A model predicts of an impression whether the user will watch longer than others did (EVV, FVV), will glance past it
(GVV), and whatever else is logged. One score, fused from these predictions, orders the items.

    tasks, log_statistics, inputs       what is predicted, what is counted in the log once, what the model reads
    model/, objective, optimizer        the network and its loss; run.py trains it, by `python -m ranking.train`
    held_out, predictions, figures      the days that are measured, predictions made comparable, their figures;
                                        comparison.py measures every row so, by `python -m ranking.evaluate`
    fusion                              the weights of the fused score
    baselines/, export/                 what the ranker is compared with; what is served of it
"""
