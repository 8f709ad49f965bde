"""One module for each file format of catalogues, all with the same four names.

``EXPECTED`` says in words what such a file is. ``read(path)`` is the whole table.
``open_contents(path)`` is the file as `Contents`, to be read in pieces. ``write(parts, path,
layout)`` joins arrow tables into one file.
"""
