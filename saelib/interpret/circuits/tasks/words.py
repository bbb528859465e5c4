"""Words that templates are filled with: those that are one token of the tokenizer at hand are used.

In: nothing. Out: lists. Words of everyday English for models that have read it, and of software documentation for the
embedded one, which has read nothing else.
"""

NAMES = (
    "John", "Mary", "Tom", "James", "Dan", "Sarah", "Michael", "Alice", "Robert", "Paul", "Peter", "Mark", "Anna",
    "David", "Laura", "Emma", "Jack", "Lisa", "Kevin", "Eric", "Brian", "Jane", "Adam", "Kate", "Lucy", "Henry",
    "George", "William", "Thomas", "Charles", "Susan", "Karen", "Rachel", "Simon", "Andrew", "Martin", "Richard",
    "Steven", "Joseph", "Helen", "Amy", "Scott", "Ryan", "Jason", "Matthew", "Daniel", "Christopher", "Elizabeth",
)  # fmt: skip
PLACES = ("store", "garden", "restaurant", "school", "hospital", "office", "house", "station", "park", "library",
          "market", "church", "beach", "farm", "museum")  # fmt: skip
GIFTS = ("ring", "drink", "book", "letter", "basket", "computer", "phone", "gift", "map", "key", "picture", "flower",
         "ball", "hat", "cup")  # fmt: skip
EVENTS = ("war", "project", "trip", "work", "voyage", "study", "journey", "reign", "conflict", "program", "mission",
          "trial", "campaign", "debate", "contract", "treaty", "strike", "expedition", "construction", "alliance",
          "test", "process", "search", "version", "series", "period")  # fmt: skip
NOUNS = (
    ("boy", "boys"), ("girl", "girls"), ("doctor", "doctors"), ("teacher", "teachers"), ("student", "students"),
    ("friend", "friends"), ("author", "authors"), ("artist", "artists"), ("officer", "officers"), ("king", "kings"),
    ("worker", "workers"), ("farmer", "farmers"), ("leader", "leaders"), ("player", "players"), ("driver", "drivers"),
    ("writer", "writers"), ("soldier", "soldiers"), ("customer", "customers"), ("actor", "actors"),
    ("manager", "managers"), ("visitor", "visitors"), ("parent", "parents"), ("guest", "guests"),
)  # fmt: skip
SEEN = ("saw", "knew", "liked", "called", "found", "loved", "followed", "visited", "helped", "met")
THINGS = (
    ("function", "functions"), ("method", "methods"), ("class", "classes"), ("module", "modules"),
    ("object", "objects"), ("file", "files"), ("value", "values"), ("list", "lists"), ("argument", "arguments"),
    ("parameter", "parameters"), ("string", "strings"), ("key", "keys"), ("name", "names"), ("type", "types"),
    ("node", "nodes"), ("edge", "edges"), ("graph", "graphs"), ("array", "arrays"), ("element", "elements"),
    ("row", "rows"), ("column", "columns"), ("line", "lines"), ("character", "characters"), ("option", "options"),
    ("model", "models"), ("tensor", "tensors"), ("token", "tokens"), ("request", "requests"),
    ("command", "commands"), ("field", "fields"), ("attribute", "attributes"), ("item", "items"),
    ("variable", "variables"), ("operator", "operators"), ("vector", "vectors"), ("image", "images"),
    ("label", "labels"), ("sequence", "sequences"), ("layer", "layers"), ("example", "examples"),
)  # fmt: skip
USED = ("used", "returned", "called", "created", "needed", "defined", "found", "read", "returned", "passed")
VERBS = (("is", "are"),)
ARGUMENTS = (
    "load", "size", "files", "last", "name", "value", "index", "path", "mode", "data", "key", "type", "order", "shape",
    "count", "start", "end", "step", "width", "height", "color", "text", "title", "label", "model", "user", "date",
    "time", "list", "node", "source", "target", "result", "field", "group", "level", "line", "option", "point", "state",
)  # fmt: skip
SINGULAR_THINGS = tuple(singular for singular, _ in THINGS)
