"""What every binary needs to run: flags and exit statuses, workdirs, artifact folders, progress.

Imports nothing of the project and no array library, so that `--help` stays fast.
"""
