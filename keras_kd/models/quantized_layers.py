"""Models that Keras has quantised: how they are saved, and what refuses."""

import keras

# What a mode does where no config is given.
QUANTIZERS = {
    "int8": keras.quantizers.Int8QuantizationConfig(),
    "int4": keras.quantizers.Int4QuantizationConfig(),
}


def quantized_layers(owners):
    """Those of the layers in `owners`, and in what they hold, that are."""
    return [
        layer
        for owner in owners
        for layer in owner._flatten_layers()
        if layer.quantization_mode is not None
    ]


def check_float(owners):
    """Refuses quantised layers where weights are read or written.

    Args:
        owners: Layers or models.

    Raises:
        ValueError: If one of their layers is quantised.
    """
    found = quantized_layers(owners)
    if found:
        layer = found[0]
        raise ValueError(
            "`model` must have float weights to be copied, cut or written in "
            "another format: do that before `model.quantize(...)`, from the "
            f"float model. Received: {layer.path} in {layer.quantization_mode}"
        )


def saved_dtype(model):
    """What a model's `get_config` says as `dtype`.

    The policy that was asked for, or None; of a quantised model a map from
    each layer's path to its policy, as KerasHub has it.

    Raises:
        ValueError: If it was quantised by a config of the user's own, which
            no policy can say.
    """
    found = quantized_layers([model])
    if not found:
        return model.explicit_dtype
    for layer in found:
        check_default(layer)
    default = model.dtype_policy.name
    policies = keras.dtype_policies.DTypePolicyMap(default_policy=default)
    for layer in model._flatten_layers():
        if not layer.path:  # an input, dropout: nothing to hold
            continue
        policy = layer.dtype_policy
        if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            policy = policy[layer.path]
        if policy.name != default:
            policies[layer.path] = policy
    return keras.dtype_policies.serialize(policies)


def check_default(layer):
    """Refuses what a policy does not say of how a layer computes.

    Raises:
        ValueError: If its inputs are rounded otherwise than its mode's are.
    """
    config = layer.quantization_config
    if not hasattr(config, "activation_quantizer"):
        return  # made from a policy
    theirs, usual = (
        each and (type(each), each.get_config())
        for each in (
            config.activation_quantizer,
            QUANTIZERS.get(config.mode, config).activation_quantizer,
        )
    )
    if theirs != usual:
        raise ValueError(
            "A model is saved as `model.quantize(mode)` quantises it, without "
            "another `activation_quantizer` in a `config`. Received: "
            f"activation_quantizer={config.activation_quantizer} in "
            f"{layer.path}"
        )
