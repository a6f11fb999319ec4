#!/usr/bin/env bash
# tokenizers 0.23.3: an added token takes the id of another where ids have holes.
#
# A vocabulary whose ids have holes is common: of a vocab.txt with a line twice the
# last one counts, so that the first one's id is nobody's. One would guess that
# `add_tokens` gives an id that is free, the largest + 1 or a hole. It gives the
# number of tokens, which is somebody's, and says nothing: two tokens share an id.
#
# Seen: [UNK] 0, a 2, b 3; "new" is added as 3, as b is, and the id decodes to "new".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PYTHON'
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers

vocabulary = {"[UNK]": 0, "a": 2, "b": 3}
tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
added = tokenizer.add_tokens(["new"])
ids = tokenizer.encode("a b new").ids
print("tokenizers", tokenizers.__version__, added, ids, tokenizer.decode([3]))
assert (added, ids, tokenizer.decode([3])) == (1, [2, 3, 3], "new")
PYTHON
