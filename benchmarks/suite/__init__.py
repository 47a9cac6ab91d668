"""What `make bench` runs, how, and the page that comes of it."""
