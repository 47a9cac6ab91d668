"""The short-video data set of Tsinghua's FIB lab (Shang et al., WWW '25): exposures with watch times, likes and hates.

The layout is that of the README of github.com/tsinghua-fib-lab/ShortVideo_dataset: one CSV file, which it calls
interaciton_filtered.csv (sic), with the columns

    user_id, pid, exposed_time, p_date, p_hour, watch_time, cvm_like, comment, follow, collect, forward,
    effective_view, hate; of the video: category_level, category_id, parent_id, root_id, duration, author_id,
    author_fans_count, tag_name, title; of the user: gender, age, mod_price, fre_city, fre_community_type,
    fre_city_level

Extracts of it that go round, interaction_filtered.csv, interaction_sampled.csv and interaction.csv, have `click` and
lack `effective_view`: both may be missing. They repeat a row for each tag of its video; such rows become one event.

What becomes of it. `exposed_time` and `watch_time` are seconds. `collect` is a `like`, as `cvm_like` is; `forward` is a
`share`, `hate` a `dislike`. `effective_view`, more than three seconds, is not read: what is a skip, less than three
seconds, the play time tells. Of a video, whose attributes its first row gives: the author, the primary category
(`root_id`) as its cluster, the secondary and tertiary one and the first tag as attributes, its title for people. Of a
user: gender, age, and the city's name, level and kind. Fans and prices are not read: the former are counted at the end.

There is no --download: the server asks for the name and password in the README, and knows no https.

Memory: all of the file's columns that are read, titles among them, until the videos and users are told apart.
"""

from data.readers import Dataset, later

DATASETS = (
    Dataset(
        "tsinghua_shortvideo",
        "Tsinghua's short videos: 10,000 users, 153,561 videos, likes and hates",
        later("data.readers.tsinghua_shortvideo.layout.source_files"),
        later("data.readers.tsinghua_shortvideo.layout.read_short_video"),
    ),
)
