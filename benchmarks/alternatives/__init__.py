"""How the model responds when it learns from dislikes in other ways (Wang et al., section 2), over seeds."""
