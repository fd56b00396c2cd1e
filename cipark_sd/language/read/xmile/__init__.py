"""The reader of XMILE files: a document to elements, their equations to expressions, all to one model."""
