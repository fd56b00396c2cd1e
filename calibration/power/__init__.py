"""What data of a study could say of its constants and rivals, before they are seen."""
