"""Methods of sensitivity analysis, a file each; :mod:`cipark_sd.commands.sensitivity.methods.registry` lists them."""
