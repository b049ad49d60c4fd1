"""Indicators: what they are (`registry`, with a `.sql` file per family), and what they say.

Every figure is added up from the rows of its family's file, prepared or not: `prepared` adds the
same rows up beforehand, `figures` answers from either, `rows` lists them one by one.
"""
