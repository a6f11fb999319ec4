"""MixedStore: several token stores as one, by weight."""

from keras_kd.data.blocks import Blocks


class MixedStore:
    """Token stores that are drawn from in given proportions.

    An epoch goes through every store once at least: those that weigh more
    than their share of blocks go around again, from their first block on, and
    their blocks are masked anew each time.

    Args:
        stores: List of `TokenStore`, of one tokenizer and block length, all
            of running text or all line by line.
        weights: List of float > 0, the share of each in an epoch; they need
            no sum of 1.

    Attributes:
        block_length: Int (T).
        buckets: Dict of block length to `Blocks`, as of `TokenStore`.

    Raises:
        ValueError: If the stores do not go together, or a weight is not above
            0.
    """

    def __init__(self, stores, weights):
        if not stores or len(stores) != len(weights):
            raise ValueError(
                "`weights` must be one for each of `stores`. Received: "
                f"{len(stores)} stores and {len(weights)} weights"
            )
        if not all(0 < weight < float("inf") for weight in weights):
            raise ValueError(
                f"`weights` must be above 0, and finite. Received: {weights}"
            )
        for name in ("block_length", "line_by_line", "tokenizer"):
            found = {str(store.manifest[name]) for store in stores}
            if len(found) > 1:
                raise ValueError(
                    f"`stores` must have one {name}. Received: {sorted(found)}"
                )
        self.stores = list(stores)
        self.block_length = stores[0].block_length
        scale = max(
            len(store) / weight
            for store, weight in zip(stores, weights, strict=True)
        )
        self.turns = [  # of each store in an epoch
            weight * scale / len(store)
            for store, weight in zip(stores, weights, strict=True)
        ]
        lengths = sorted({t for store in stores for t in store.buckets})
        self.buckets = {t: self.mixed(t) for t in lengths}

    def mixed(self, length):
        """The `Blocks` of one length, of all stores that have such."""
        shards, counts = [], []
        for store, turns in zip(self.stores, self.turns, strict=True):
            if length in store.buckets:
                shards.append(store.buckets[length])
                counts.append(round(turns * len(shards[-1])))
        return Blocks(shards, counts)

    def __len__(self):
        return sum(map(len, self.buckets.values()))

    @property
    def tokens(self):
        """Number of tokens in an epoch, special ones left out."""
        return sum(
            round(store.tokens * turns)
            for store, turns in zip(self.stores, self.turns, strict=True)
        )

    @property
    def token_counts(self):
        """How often each token id occurs in an epoch, (V,) float."""
        return sum(
            store.token_counts * turns
            for store, turns in zip(self.stores, self.turns, strict=True)
        )

    def check_tokenizer(self, tokenizer):
        """Refuses a tokenizer that did not make these stores."""
        for store in self.stores:
            store.check_tokenizer(tokenizer)
