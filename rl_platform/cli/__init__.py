"""``rlp``: the command line. One file per command; what they do lives below."""
