"""Convert prompts between the ways people write them, and say what a way of writing cannot hold.

    convert(read(text), "danbooru")         Converted: text, the dialect it was in, what is lost
    convert(read(tags), "xml")              a plain list, sorted into elements

dialects.py is the table of dialects; each of them has a module that reads it into a Sheet and writes a Sheet.
"""

from newbie.prompt.convert.dialects import DIALECTS, Converted, convert, recognise
from newbie.prompt.convert.sheet import Sheet

__all__ = ["DIALECTS", "Converted", "Sheet", "convert", "recognise"]
