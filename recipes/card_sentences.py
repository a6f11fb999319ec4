"""Sentences of held-out text with a word hidden, and filled. Not a recipe."""

import keras
import numpy as np

EXAMPLES = 4
SHORTEST, LONGEST = 8, 30  # tokens of a sentence that is shown


def choose_sentences(store, tokenizer, token_counts, number=EXAMPLES):
    """Places of held-out text that no model has a say in.

    From blocks that lie evenly over the text, the first whole sentence of a
    length that can be shown; of its words that are one token, letters alone,
    the one of middling frequency in the training text is hidden.

    Args:
        store: `kd.TokenStore` or `kd.MixedStore` of the held-out text.
        tokenizer: Its `kd.WordPieceTokenizer`.
        token_counts: (V,) of the training text.
        number: Int, the most sentences.

    Returns:
        List of (token ids, index of the word to hide).
    """
    vocabulary = tokenizer.vocabulary
    goes_on = tokenizer.continuations
    blocks = store.buckets[max(store.buckets)]
    found = []
    for first in np.linspace(0, len(blocks), number, endpoint=False):
        for index in range(int(first), len(blocks)):
            sentence = first_sentence(np.asarray(blocks[index]), tokenizer)
            words = [
                i
                for i, token in enumerate(sentence)
                if vocabulary[token].isalpha()
                and not goes_on[token]
                and not (i + 1 < len(sentence) and goes_on[sentence[i + 1]])
            ]
            known = any(np.array_equal(sentence, other) for other, _ in found)
            if len(words) >= 3 and not known:
                words.sort(key=lambda i: (token_counts[sentence[i]], i))
                found.append((sentence, words[len(words) // 2]))
                break
    return found


def first_sentence(block, tokenizer):
    """Token ids from after one full stop up to the next; empty without."""
    stop = tokenizer.backend.token_to_id(".")
    stops = np.flatnonzero(block == stop)
    for start, end in zip(stops, stops[1:], strict=False):
        sentence = block[start + 1 : end + 1]
        whole = not np.isin(sentence, tokenizer.special_ids).any()
        if whole and SHORTEST <= len(sentence) <= LONGEST:
            return sentence
    return block[:0]


def fill_sentences(models, sentences, tokenizer, choices=3):
    """What each model puts where a word is hidden.

    Args:
        models: Dict of name to `kd.BertMaskedLM`.
        sentences: From `choose_sentences`.
        tokenizer: `kd.WordPieceTokenizer`.
        choices: Int, how many of each model's first choices.

    Returns:
        List of dict, `examples` of `kd.evidence_card`.
    """
    vocabulary = tokenizer.vocabulary
    examples = []
    for sentence, place in sentences:
        truth = int(sentence[place])
        before, after = sentence[:place], sentence[place + 1 :]
        text = (tokenizer.decode(before), "[MASK]", tokenizer.decode(after))
        example = {
            "sentence": " ".join(text).strip(),
            "truth": vocabulary[truth],
            "choices": {},
            "truth_probability": {},
        }
        for name, model in models.items():
            p = probabilities(model, sentence, place, tokenizer)
            p = p[: len(vocabulary)]
            example["choices"][name] = [
                {"token": vocabulary[i], "probability": float(p[i])}
                for i in np.argsort(-p, kind="stable")[:choices]
            ]
            example["truth_probability"][name] = float(p[truth])
        examples.append(example)
    return examples


def probabilities(model, sentence, place, tokenizer):
    """(V,) of the token at a place that is hidden."""
    ids = np.concatenate([[tokenizer.cls_id], sentence, [tokenizer.sep_id]])
    ids[place + 1] = tokenizer.mask_id
    x = {
        "token_ids": ids[None],
        "segment_ids": np.zeros((1, len(ids))),
        "padding_mask": np.ones((1, len(ids))),
        "mask_positions": np.array([[place + 1]]),
    }
    x = {name: value.astype("int32") for name, value in x.items()}
    logits = model(x, training=False)["logits"]
    p = keras.ops.softmax(keras.ops.cast(logits, "float32"))
    return keras.ops.convert_to_numpy(p)[0, 0]
