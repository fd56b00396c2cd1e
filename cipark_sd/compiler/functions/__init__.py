"""The functions of Vensim and XMILE, one row each."""
