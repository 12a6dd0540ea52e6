"""The networks that can be trained, one file each, and the registry that names them."""
