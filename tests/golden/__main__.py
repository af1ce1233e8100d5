"""`python -m tests.golden` prints all digests as JSON; `--write` keeps them, and an entry of the store, in this folder.

Write them anew only together with a change of the schema, for it makes everything that users have stored a miss.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")  # some values are made by what is deprecated

from tests.golden import digests  # noqa: E402

FOUND = {"stand-in": digests.STAND_IN, **digests.all_digests()}
if "--write" not in sys.argv:
    print(json.dumps(FOUND))
elif digests.STAND_IN:
    sys.exit("xxhash has to be installed for this")
else:
    from tests.golden import entry, stored

    for line in stored.changes(stored.load(), FOUND):
        print(line)
    stored.save(FOUND)
    entry.write()
