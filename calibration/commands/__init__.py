"""The commands of ``cipark`` that fit models or rest on fits."""
