"""One's own logs: canonical tables, with the columns that data/raw/tables.py names, in any format that data/raw reads.

A folder holds `events` and, if there are any, `items` and `users`: each a file, as events.csv, or a folder of files.
schema.yaml beside them, or elsewhere, says what the log's own columns are to Heed (data/raw/schema).
Further columns of the items' table are categories, several of them, numbers or embeddings, by their type as
data/raw/attributes.py has it; those of the users' table categories or numbers. A category for which nearly every row
has a value of its own is left out: such a column, of names or addresses, would be a second id.
"""

from data.readers import Dataset, later

DATASETS = (
    Dataset(
        "tables",
        "your own logs as canonical tables",
        later("data.readers.canonical.layout.source_files"),
        later("data.readers.canonical.layout.read_tables"),
        options={"schema": ""},  # --schema
    ),
)
