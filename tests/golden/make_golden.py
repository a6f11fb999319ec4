"""Writes distilbert.npz: what torch makes of a teacher, a student and a batch.

    uv run --group parity tests/golden/make_golden.py

Made with torch 2.15.0 and transformers 5.24.0; the file holds the versions
that wrote it. The teacher is a `BertForMaskedLM` and the student a
`DistilBertForMaskedLM`, tiny and random, without dropout. Their weights are
float32; everything is computed from them in float64. Under keys joined by
"/" stand:

    versions                of torch and transformers
    x, batch                the batch, as `masked_lm_batches` would give it:
                            the inputs; `y` and `sample_weight`
    teacher, student        the weights, by the names of `named_variables()`
    teacher_outputs,        `hidden_states` (L + 1, B, T, D), and `logits`
    student_outputs         (B, K, V) at the masked positions
    term                    every term, by name, rows and temperature
    total, gradient         5 / 2 / 1 (soft targets, masked LM, cosine) with
                            `ALPHA_MSE` for the logits, by rows; the gradient
                            by each of the student's weights

The formulas are those of the DistilBERT training scripts (Sanh et al., 2019,
https://arxiv.org/abs/1910.01108), written out.
"""

import pathlib
import re

import numpy as np
import torch
import transformers

FILE = pathlib.Path(__file__).parent / "distilbert.npz"

VOCABULARY = 97
WIDTH = 16
HEADS = 2
INTERMEDIATE = 32
LENGTHS = (12, 9, 5)  # of the sequences; padded to the first
MASKED = (4, 3, 1)  # positions of each; padded to the first
TEMPERATURES = (0.5, 2.0, 10.0)
ALPHA_MSE = (0.0, 0.01)

# Layers of either reference model, and where ours keep them.
PLACES = {
    "embeddings.word_embeddings": "embeddings/token",
    "embeddings.position_embeddings": "embeddings/position",
    "embeddings.token_type_embeddings": "embeddings/segment",
    "embeddings.LayerNorm": "embeddings/norm",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention_output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "feed_forward_output",
    "output.LayerNorm": "feed_forward_norm",
    "cls.predictions.transform.dense": "masked_lm_head/dense",
    "cls.predictions.transform.LayerNorm": "masked_lm_head/norm",
    "cls.predictions": "masked_lm_head",
    "attention.q_lin": "query",
    "attention.k_lin": "key",
    "attention.v_lin": "value",
    "attention.out_lin": "attention_output",
    "sa_layer_norm": "attention_norm",
    "ffn.lin1": "intermediate",
    "ffn.lin2": "feed_forward_output",
    "output_layer_norm": "feed_forward_norm",
    "vocab_transform": "masked_lm_head/dense",
    "vocab_layer_norm": "masked_lm_head/norm",
    "vocab_projector": "masked_lm_head",
}


def our_name(theirs):
    """The name among `named_variables()` of a torch parameter."""
    theirs = re.sub(r"^(distil)?bert\.", "", theirs)
    block = re.match(r"(?:encoder|transformer)\.layer\.(\d+)\.", theirs)
    place, kind = theirs[block.end() if block else 0 :].rsplit(".", 1)
    place = PLACES[place]
    if place.endswith("norm"):
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    elif kind == "weight":
        kind = "embeddings" if place.startswith("embeddings") else "kernel"
    owner = f"encoder_layer_{block[1]}/" if block else ""
    return f"{owner}{place}/{kind}"


def ours(named_tensors):
    """Torch tensors as float32 arrays, named and laid out as ours are."""
    arrays = {our_name(name): tensor for name, tensor in named_tensors}
    return {
        name: (tensor.T if name.endswith("kernel") else tensor)
        .detach()
        .numpy()
        .astype("float32")
        for name, tensor in arrays.items()
    }


def make_models():
    """Teacher and student with large random weights, in float64."""
    teacher = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=HEADS,
            intermediate_size=INTERMEDIATE,
            max_position_embeddings=max(LENGTHS),
        )
    )
    student = transformers.DistilBertForMaskedLM(
        transformers.DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=WIDTH,
            n_layers=2,
            n_heads=HEADS,
            hidden_dim=INTERMEDIATE,
            max_position_embeddings=max(LENGTHS),
        )
    )
    for model in (teacher, student):
        model.eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.normal_(0.0, 0.3)
                if our_name(name).endswith("gamma"):
                    parameter.add_(1.0)
        model.double()
    return teacher, student


def make_batch(random):
    """`x`, `y`, `sample_weight`; padding has id 0, masked positions id 4."""
    shape = len(LENGTHS), max(LENGTHS)
    ids = random.integers(5, VOCABULARY, shape).astype("int32")
    lengths = np.array(LENGTHS)[:, None]
    padding_mask = (np.arange(shape[1]) < lengths).astype("int32")
    segment_ids = (np.arange(shape[1]) >= lengths // 2).astype("int32")
    positions = np.zeros((shape[0], max(MASKED)), "int32")
    weights = np.zeros(positions.shape, "float32")
    for row, (length, masked) in enumerate(zip(LENGTHS, MASKED, strict=True)):
        chosen = random.choice(length, masked, replace=False)
        positions[row, :masked] = np.sort(chosen)
        weights[row, :masked] = 1.0
    labels = np.take_along_axis(ids, positions, axis=1) * (weights > 0)
    for row, masked in enumerate(MASKED):
        ids[row, positions[row, :masked]] = 4
    return {
        "x/token_ids": ids * padding_mask,
        "x/segment_ids": segment_ids * padding_mask,
        "x/padding_mask": padding_mask,
        "x/mask_positions": positions,
        "batch/y": labels.astype("int32"),
        "batch/sample_weight": weights,
    }


def run(model, batch, **inputs):
    """Hidden states and logits of all positions."""
    outputs = model(
        torch.tensor(batch["x/token_ids"]),
        attention_mask=torch.tensor(batch["x/padding_mask"]),
        output_hidden_states=True,
        **inputs,
    )
    return outputs.hidden_states, outputs.logits


def soft_target(teacher_logits, student_logits, temperature):
    """Mean over rows (N, V) of temperature² · KL(teacher || student)."""
    log_p = torch.log_softmax(teacher_logits / temperature, -1)
    log_q = torch.log_softmax(student_logits / temperature, -1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def masked_lm(student_logits, labels):
    """Mean cross-entropy over the labels that are not -100."""
    rows = labels != -100
    log_q = torch.log_softmax(student_logits[rows], -1)
    return -log_q.gather(-1, labels[rows][:, None]).mean()


def logits_mse(teacher_logits, student_logits):
    """Mean over rows of the squared difference, summed over the vocabulary."""
    return (student_logits - teacher_logits).square().sum(-1).mean()


def hidden_state(teacher_states, student_states):
    """Mean over rows (N, D) of 1 - cos, squared norms 1e-12 larger."""
    product = (teacher_states * student_states).sum(-1)
    norms = [
        states.square().sum(-1) + 1e-12
        for states in (teacher_states, student_states)
    ]
    return (1 - product / (norms[0] * norms[1]).sqrt()).mean()


def main():
    """Makes everything and writes it."""
    torch.manual_seed(0)
    teacher, student = make_models()
    batch = make_batch(np.random.default_rng(0))
    segments = torch.tensor(batch["x/segment_ids"])
    with torch.no_grad():
        theirs = run(teacher, batch, token_type_ids=segments)
    learnt = run(student, batch)

    real = torch.tensor(batch["x/padding_mask"]).bool()
    labels = torch.full(real.shape, -100)
    for row, position in np.argwhere(batch["batch/sample_weight"]):
        place = batch["x/mask_positions"][row, position]
        labels[row, place] = int(batch["batch/y"][row, position])

    terms = {
        "masked_lm": masked_lm(learnt[1], labels),
        "hidden_state": hidden_state(theirs[0][-1][real], learnt[0][-1][real]),
    }
    found = {
        "versions": np.array(
            [f"{m.__name__} {m.__version__}" for m in (torch, transformers)]
        ),
        **batch,
    }
    for rows, chosen in {"all": real, "masked": labels != -100}.items():
        pair = theirs[1][chosen], learnt[1][chosen]
        for temperature in TEMPERATURES:
            name = f"soft_target/{rows}/{temperature}"
            terms[name] = soft_target(*pair, temperature)
        terms[f"logits_mse/{rows}"] = logits_mse(*pair)
        for alpha_mse in ALPHA_MSE:
            total = (
                5 * terms[f"soft_target/{rows}/2.0"]
                + 2 * terms["masked_lm"]
                + alpha_mse * terms[f"logits_mse/{rows}"]
                + terms["hidden_state"]
            )
            names, parameters = zip(*student.named_parameters(), strict=True)
            slopes = torch.autograd.grad(total, parameters, retain_graph=True)
            slopes = ours(zip(names, slopes, strict=True))
            found[f"total/{rows}/{alpha_mse}"] = total.item()
            for name, slope in slopes.items():
                found[f"gradient/{rows}/{alpha_mse}/{name}"] = slope
    found |= {f"term/{name}": term.item() for name, term in terms.items()}

    for role, model, (states, logits) in (
        ("teacher", teacher, theirs),
        ("student", student, learnt),
    ):
        weights = ours(model.named_parameters())
        found |= {f"{role}/{name}": value for name, value in weights.items()}
        logits = np.take_along_axis(
            logits.detach().numpy(),
            batch["x/mask_positions"][:, :, None],
            axis=1,
        )
        states = torch.stack(states).detach().numpy()
        found[f"{role}_outputs/hidden_states"] = states.astype("float32")
        found[f"{role}_outputs/logits"] = logits.astype("float32")
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
