"""Counterfactual responsiveness of an exported recommender: simulated users, their behaviour, the branches compared.

  python -m simulation.counterfactual --config=configs/counterfactual.py --recommender=EXPORT --workdir=DIR

`<size>` or `<size>,<experiment>`. Sizes: `standard` is the paper's (2,000 users, k = 50), the default; `tiny` serves
tests and laptops. Experiments: `paper`, the default; `in_a_row`, one to five dislikes of the same cluster; `elsewhere`,
a dislike, and what is left of it after a dislike of one, two and four other clusters; `undo`, a dislike and then one to
five likes of the same cluster; `memory`, one dislike, looked at 1, 5 and 20 steps later; `forgetting`, one dislike,
looked at until it is older than all that the model reads, by a server that keeps events, and `forgetting_state` by one
that keeps a state, where the same items follow it as without it; `lasting`, the latter for 200 steps, where each
history takes what it is offered; `sweeps`, other lengths of the history and of the slate. `without_play_times` is
`paper` for a model of a log that has none: what is met is liked, disliked or neither, and how long it was played nobody
knows.
Expected for long_watch+dislike: a model that is blind to dislikes 0 exactly. The paper: dislikes as input -22.7% by
content and -22.8% by creator, as input and training label -60.8% and -64.1%. Seconds, not minutes, on 2 cores.
"""

from ml_collections import ConfigDict

SIZES = {
    "standard": {"users": 2_000, "k": 50, "slate_size": 100},
    "tiny": {"users": 50, "k": 8, "slate_size": 10},
}


def get_config(name: str = "standard") -> ConfigDict:
    """The settings of one size and experiment."""
    size, _, experiment = name.partition(",")
    if size not in SIZES:
        raise ValueError(f"no size '{size}' in configs/counterfactual.py; write one of {', '.join(SIZES)}")
    config = ConfigDict(SIZES[size])
    config.seed = 0

    # At the k-th item: every branch is compared with the baseline. A play, then any of +like, +follow, +comment,
    # +share, +dislike (simulation/counterfactual/actions.py); ACTION*3 is three in a row, ACTION,ACTION one after the
    # other, from the second on further items of the k-th item's cluster, other:ACTION on an item of another cluster,
    # each time of one more. Compared with the baseline done on the same items; what stands after a ; is done in both
    # (Branch.parse).
    config.baseline = "long_watch"
    config.branches = ("long_watch+dislike", "skip", "quit_early")
    # The slates that are looked at: 1 is the one right after the branch, 5 that after four more items, which the user
    # treats as by `behaviours`; and `beyond`, counted from T, the events that the model reads: at T the branch is the
    # oldest of them, at T + 1 it is none of them, unless it is a no that the model remembers.
    config.distances = (1,)
    config.beyond = ()
    # Whose slates what users take in between comes from: "", in each branch its own; or a branch of one action, whose
    # items are taken in all branches, so that nothing but the action makes a difference.
    config.path_of = ""
    # How the recommender is asked: event by event, by its state, which goes on after T events; or, as by a server that
    # keeps events and no state, anew at every slate, by those of the history that the model reads, T at most.
    config.reencode = False

    # Before it, random behaviour: what is done with each item, whatever the item is. The shares of these plays in
    # KuaiRand-Pure. No dislikes, so that the branch measures the answer to a first one, not to one more.
    # With --world users do what they like instead, with --data and --histories what they did.
    config.behaviours = ConfigDict(
        {"skip": 0.41, "quit_early": 0.13, "medium_watch": 0.14, "long_watch": 0.30, "long_watch+like": 0.02}
    )
    # P(item at place j of the slate, from 1) is proportional to j^-place_power: 0 is any item of the slate alike.
    config.place_power = 0.0
    # The first item: P is proportional to its training count to this power. 1: by popularity; 0: any item alike.
    config.first_item_power = 1.0
    # Replays (--data): each history ends at the user's last event with any of this feedback; () is the last of all.
    config.cut_at = ()

    # The same with other k, and on the first so many items of the slate.
    config.sweep_k = ()
    config.sweep_slate_size = ()

    config.bootstrap_samples = 2_000
    config.examples = 8  # users whose slates are written out for the report

    longest, largest = config.k, config.slate_size
    match experiment:
        case "" | "paper":
            pass
        case "in_a_row":
            config.branches = ("long_watch+dislike", *(f"long_watch+dislike*{n}" for n in (2, 3, 5)))
        case "elsewhere":
            watched, said_no = "other:long_watch", "other:long_watch+dislike"
            after = [f"{act}{times}" for times in ("", "*2", "*4") for act in (watched, said_no)]
            config.branches = ("long_watch+dislike", *(f"long_watch+dislike;{acts}" for acts in after))
        case "undo":
            likes = [f"long_watch+like{times}" for times in ("", "*2", "*3", "*5")]
            config.branches = ("long_watch+dislike", *(f"long_watch+dislike;{acts}" for acts in likes))
        case "memory":
            config.branches = ("long_watch+dislike",)
            config.distances = (1, 5, 20) if size == "standard" else (1, 3)
            config.k = 4 * longest // 5  # leaves room for the steps after it in what a model reads
        case "forgetting" | "forgetting_state":
            config.branches = ("long_watch+dislike",)
            config.distances = (1, 5, 20, 40) if size == "standard" else (1,)
            config.beyond = (0, 1, 20)
            config.path_of = "long_watch+dislike"
            config.reencode = experiment == "forgetting"
            config.users = min(config.users, 500)  # each slate has the whole history read again
        case "lasting":
            config.branches = ("long_watch+dislike",)
            config.distances = (1, 20, 40, 100, 200) if size == "standard" else (1, 3)
            config.beyond = (0,)
            config.users = min(config.users, 500)  # each goes on for as many events as the model reads
        case "without_play_times":
            config.baseline, config.branches = "met", ("met+dislike",)
            config.behaviours = ConfigDict({"met": 0.98, "met+like": 0.02})  # as many likes as above
        case "sweeps":
            config.sweep_k = (max(2, longest // 5), longest // 2)
            config.sweep_slate_size = (largest // 10, largest // 4)
        case _:
            raise ValueError(
                f"no experiment '{experiment}'; there are paper, in_a_row, elsewhere, undo, memory, forgetting, "
                "forgetting_state, lasting, without_play_times, sweeps"
            )
    return config
