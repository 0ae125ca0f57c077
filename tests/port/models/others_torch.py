"""Models of torchvision and transformers, made the same as those of keras.applications and keras-hub.

Each lacks what a comment at its function names; ``faults`` are left in or put in.
"""

import torch
from torch import nn


def _convolutions(model):
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Conv2d)
    ]


def _padded_as_in_tensorflow(model):
    """Strides of two on even sizes: the smaller half of the padding comes first."""
    for parent, name, child in _convolutions(model):
        size = child.kernel_size[0]
        if child.stride[0] == 2 and size > 1:
            low, high = (size - 2) // 2, size - 2 - (size - 2) // 2
            child.padding = (0, 0)
            setattr(parent, name, nn.Sequential(nn.ZeroPad2d((low, high, low, high)), child))
    return model


def _normalised(model, epsilon, momentum):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = epsilon, momentum
    return model


def _swapped(model, kind, by, most=1):
    """The first modules of a kind replaced."""
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is kind
    ]
    for parent, name in places[:most]:
        setattr(parent, name, by())
    return model


def mobilenet(faults=()):
    from torchvision.models import mobilenet_v3_small

    model = mobilenet_v3_small(num_classes=10)
    _normalised(model, 1e-5 if "epsilon" in faults else 1e-3, 0.01 if "momentum" in faults else 0.001)
    if "activation" in faults:
        _swapped(model, nn.Hardsigmoid, nn.Sigmoid, most=100)
    return model if "padding" in faults else _padded_as_in_tensorflow(model)


def efficientnet(faults=()):
    from torchvision.models import efficientnet_b0

    model = efficientnet_b0(num_classes=10)
    _normalised(model, 1e-5 if "epsilon" in faults else 1e-3, 0.01)
    model = model if "padding" in faults else _padded_as_in_tensorflow(model)
    if "activation" in faults:
        _swapped(model, nn.SiLU, nn.ReLU)

    class Rescaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x if "rescaling" in faults else x / 255)

    return Rescaled()


def densenet(faults=()):
    from torchvision.models import densenet121

    model = _normalised(densenet121(num_classes=10), 1e-3 if "epsilon" in faults else 1.001e-5, 0.01)
    if "pooling" in faults:
        model.features.transition1.pool = nn.MaxPool2d(2, 2)
    if "order" in faults:

        class Concatenated(nn.Module):
            def forward(self, x):
                return torch.cat([x[:, 1:], x[:, :1]], 1)

        model.features.transition2.relu = nn.Sequential(nn.ReLU(), Concatenated())
    return model


def convnext(faults=()):
    from torchvision.models import convnext_tiny

    model = convnext_tiny(num_classes=10, stochastic_depth_prob=0.0)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5 if "epsilon" in faults else 1e-6
    if "GELU" in faults:
        _swapped(model, nn.GELU, lambda: nn.GELU("tanh"), most=100)
    if "missing call" in faults:
        model.classifier[0] = nn.Identity()
    return model


def resnet50(faults=()):
    from torchvision.models import resnet50 as make

    model = _normalised(make(num_classes=10), 1.001e-5, 0.01)
    if "stride" not in faults:
        for module in model.modules():
            if hasattr(module, "conv3"):
                module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)
    if "missing bias" not in faults:
        for parent, name, child in _convolutions(model):
            if parent is not model or name != "fc":
                child.bias = nn.Parameter(torch.zeros(child.out_channels))
    if "pooling" in faults:
        model.maxpool = nn.AvgPool2d(3, 2, 1)
    return model


def bert(faults=()):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=16,
        pad_token_id=0 if "gradient" in faults else None,
        hidden_act="gelu" if "GELU" in faults else "gelu_new",
        layer_norm_eps=1e-5 if "epsilon" in faults else 1e-12,
        attn_implementation="eager" if "eager" in faults else "sdpa",
    )

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(config)

        def forward(self, padding_mask, segment_ids, token_ids):
            mask = None if "mask" in faults else padding_mask
            made = self.bert(token_ids, attention_mask=mask, token_type_ids=segment_ids)
            return {"pooled_output": made.pooler_output, "sequence_output": made.last_hidden_state}

    return Model()


def gpt2(faults=()):
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=50,
        n_positions=16,
        n_embd=24,
        n_layer=2,
        n_head=3,
        activation_function="gelu" if "GELU" in faults else "gelu_new",
        layer_norm_epsilon=1e-6 if "epsilon" in faults else 1e-5,
        scale_attn_weights="attention scale" not in faults,
    )

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt2 = GPT2Model(config)

        def forward(self, padding_mask, token_ids):
            return self.gpt2(token_ids, attention_mask=padding_mask).last_hidden_state

    return Model()
