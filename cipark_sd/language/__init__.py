"""Model files: Vensim and XMILE, read and written."""
