"""The evidence card: what a student is worth, for somebody who decides.

Facts are made of results (`facts`), worded (`words`), put in sections
(`sections`, `use`) with charts (`figures`), which `pages` and `html` write.
"""

from keras_kd.evaluation.evidence.card import evidence_card

__all__ = ["evidence_card"]
