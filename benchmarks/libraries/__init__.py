"""Training beside other libraries, each from end to end as it comes and in an environment of its own."""
