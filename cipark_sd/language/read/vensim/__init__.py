"""The reader of Vensim's ``.mdl`` files: text to entries, entries to tokens, tokens to expressions, all to a model."""
