"""Files that people and both sides read and write: their form, their place, whole or not at all."""
