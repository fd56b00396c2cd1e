"""Policy experiments on a study or a model."""
