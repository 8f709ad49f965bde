"""Readers of isochrones as others publish them, a file per format."""
