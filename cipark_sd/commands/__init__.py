"""The commands of ``cipark``, one module each; a module is imported only when its command is used."""
