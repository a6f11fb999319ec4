"""keras_kd: smaller BERT encoders in Keras, measured and ready to serve."""

# ruff: noqa: E402, I001  (quiet before TensorFlow; public names in walk order)
from keras_kd import runtime

runtime.quiet_tensorflow()

from keras_kd.data import (
    DocumentFilter,
    MaskedLMMasking,
    MixedStore,
    TokenStore,
    write_store_with_beam,
    WordPieceTokenizer,
    masked_lm_batches,
    read_documents,
    smoothed_token_probs,
    token_batches,
)
from keras_kd.layers import (
    BertEmbeddings,
    EncoderLayer,
    LAWS,
    LayerDrop,
    expected_depth,
    layer_drop_rates,
    subset_probability,
    suggested_rate,
    MaskedLMHead,
    MeanPooling,
)
from keras_kd.models import (
    PRESETS,
    BertBackbone,
    BertClassifier,
    BertConfig,
    BertMaskedLM,
)
from keras_kd.checkpoints import (
    load_checkpoint,
    load_tokenizer,
    push_to_hub,
    save_checkpoint,
    to_keras_hub,
)
from keras_kd.losses import (
    AttentionTerm,
    HiddenStateCosine,
    HiddenStateMSE,
    HiddenStateTerm,
    LogitsMSETerm,
    LossTerm,
    MaskedLMTerm,
    RelationTerm,
    SoftTargetKL,
    SoftTargetTerm,
    VocabularyTerm,
    distilbert_losses,
)
from keras_kd.optimizers import (
    AdamW,
    LinearWarmupDecay,
    SkipNonFinite,
    distilbert_optimizer,
)
from keras_kd.distiller import Distiller
from keras_kd.initialization import (
    PLANS,
    InitializationPlan,
    InitializeStudent,
    choose_layers,
    extract_student,
    make_plan,
)
from keras_kd.callbacks import (
    ResumableRun,
    ScheduleLayerDrop,
    ScheduleLossWeight,
    ScheduleTemperature,
)
from keras_kd.metrics import Perplexity, TeacherAgreement
from keras_kd.evaluation import (
    compare,
    evaluate,
    evaluate_similarity,
    evaluate_unigram,
)
from keras_kd.export import export_student
from keras_kd.runtime import choose_jit_compile, choose_precision, doctor

__all__ = [
    "DocumentFilter",
    "MaskedLMMasking",
    "MixedStore",
    "TokenStore",
    "write_store_with_beam",
    "WordPieceTokenizer",
    "masked_lm_batches",
    "read_documents",
    "smoothed_token_probs",
    "token_batches",
    "BertEmbeddings",
    "EncoderLayer",
    "LayerDrop",
    "LAWS",
    "layer_drop_rates",
    "expected_depth",
    "subset_probability",
    "suggested_rate",
    "MaskedLMHead",
    "MeanPooling",
    "PRESETS",
    "BertBackbone",
    "BertClassifier",
    "BertConfig",
    "BertMaskedLM",
    "load_checkpoint",
    "load_tokenizer",
    "push_to_hub",
    "save_checkpoint",
    "to_keras_hub",
    "AttentionTerm",
    "HiddenStateCosine",
    "HiddenStateMSE",
    "HiddenStateTerm",
    "LogitsMSETerm",
    "LossTerm",
    "MaskedLMTerm",
    "RelationTerm",
    "SoftTargetKL",
    "SoftTargetTerm",
    "VocabularyTerm",
    "distilbert_losses",
    "AdamW",
    "LinearWarmupDecay",
    "SkipNonFinite",
    "distilbert_optimizer",
    "Distiller",
    "PLANS",
    "InitializationPlan",
    "InitializeStudent",
    "extract_student",
    "choose_layers",
    "make_plan",
    "ResumableRun",
    "ScheduleLayerDrop",
    "ScheduleLossWeight",
    "ScheduleTemperature",
    "Perplexity",
    "TeacherAgreement",
    "compare",
    "evaluate",
    "evaluate_similarity",
    "evaluate_unigram",
    "export_student",
    "choose_jit_compile",
    "choose_precision",
    "doctor",
]
